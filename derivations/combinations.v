(* Linear combinations of vectors, and means over samples.

   comb d z U is the sum of z_i U_i over i < d, as an input z combines the columns of a layer U. *)
From Coq Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Catapult Require Import vectors.
Open Scope R_scope.

Definition comb (d : nat) (z : vec) (U : nat -> vec) : vec :=
  fun j => total d (fun i => z i * U i j).

Definition mean (m : nat) (x : nat -> R) : R := total m x / INR m.

Lemma dot_comb_l n d z U w : dot n (comb d z U) w = total d (fun i => z i * dot n (U i) w).
Proof.
  unfold dot, comb.
  transitivity (total n (fun j => total d (fun i => z i * (U i j * w j)))).
  - apply total_ext; intros. rewrite Rmult_comm, <- total_scal. apply total_ext; intros; ring.
  - rewrite total_swap. apply total_ext; intros. rewrite <- total_scal. reflexivity.
Qed.

Lemma dot_comb_r n d z U w : dot n w (comb d z U) = total d (fun i => z i * dot n w (U i)).
Proof. rewrite dot_sym, dot_comb_l. apply total_ext; intros. rewrite dot_sym; reflexivity. Qed.

Lemma dot_ext n u v u' v' : (forall i, (i < n)%nat -> u i = u' i) ->
  (forall i, (i < n)%nat -> v i = v' i) -> dot n u v = dot n u' v'.
Proof. intros U V. unfold dot. apply total_ext; intros. rewrite U, V by assumption. reflexivity. Qed.

(* A combination of combinations is a combination. *)
Lemma comb_comb m d (c : vec) (X : nat -> vec) U j :
  comb m c (fun alpha => comb d (X alpha) U) j = comb d (comb m c X) U j.
Proof.
  unfold comb.
  transitivity (total m (fun al => total d (fun i => c al * X al i * U i j))).
  - apply total_ext; intros. rewrite <- total_scal. apply total_ext; intros; ring.
  - rewrite total_swap. apply total_ext; intros.
    rewrite Rmult_comm, <- total_scal. apply total_ext; intros; ring.
Qed.

(* |sum_i z_i w_i|^2 <= (sum_i z_i^2) (sum_i |w_i|^2) *)
Lemma comb_bound n d z W :
  dot n (comb d z W) (comb d z W) <= dot d z z * total d (fun i => dot n (W i) (W i)).
Proof.
  unfold dot at 1. apply Rle_trans with (total n (fun j => dot d z z * total d (fun i => W i j * W i j))).
  - apply total_le; intros j. pose proof (cauchy_schwarz d z (fun i => W i j)) as H.
    unfold dot in H at 1. unfold comb. unfold dot in H at 2. simpl in H. rewrite Rmult_1_r in H. exact H.
  - rewrite total_scal. right. f_equal. rewrite total_swap. reflexivity.
Qed.

Lemma mean_nonneg m x : (0 < m)%nat -> (forall i, 0 <= x i) -> 0 <= mean m x.
Proof.
  intros M H. unfold mean. apply Rdiv_le_0_compat; [apply total_nonneg; exact H|apply width_pos, M].
Qed.

Lemma mean_scal m c x : mean m (fun i => c * x i) = c * mean m x.
Proof. unfold mean. rewrite total_scal. unfold Rdiv. ring. Qed.

Lemma mean_plus m x y : mean m (fun i => x i + y i) = mean m x + mean m y.
Proof. unfold mean. rewrite total_plus. unfold Rdiv. ring. Qed.

Lemma mean_ext m x y : (forall i, (i < m)%nat -> x i = y i) -> mean m x = mean m y.
Proof. intros H. unfold mean. rewrite (total_ext m x y H). reflexivity. Qed.

(* (mean xy)^2 <= mean x^2 mean y^2 *)
Lemma mean_cauchy_schwarz m x y : (0 < m)%nat ->
  (mean m (fun i => x i * y i))^2 <= mean m (fun i => x i * x i) * mean m (fun i => y i * y i).
Proof.
  intros M. pose proof (width_pos m M) as P. pose proof (cauchy_schwarz m x y) as H.
  unfold dot in H. unfold mean.
  apply Rmult_le_reg_r with (INR m * INR m); [apply Rmult_lt_0_compat; exact P|].
  replace ((total m (fun i => x i * y i) / INR m)^2 * (INR m * INR m))
    with ((total m (fun i => x i * y i))^2) by (field; lra).
  replace (total m (fun i => x i * x i) / INR m * (total m (fun i => y i * y i) / INR m) * (INR m * INR m))
    with (total m (fun i => x i * x i) * total m (fun i => y i * y i)) by (field; lra).
  exact H.
Qed.

Lemma is_derive_total k (x : nat -> R -> R) (l : nat -> R) (r : R) :
  (forall i, is_derive (x i) r (l i)) -> is_derive (fun t => total k (fun i => x i t)) r (total k l).
Proof.
  intros H. induction k as [|k IH]; simpl; [apply (is_derive_const 0 r)|].
  apply (is_derive_plus (fun t => total k (fun i => x i t)) (x k) r (total k l) (l k)); [exact IH|apply H].
Qed.
