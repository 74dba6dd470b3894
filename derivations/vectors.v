(* Vectors of any length, their inner product, and what gradient descent needs of them.

   A vector is a function from indices to reals of which the first n entries count, so that
   every theorem holds for every width n at once. *)
From Coq Require Import Reals Lra Lia Psatz.
Open Scope R_scope.

Definition vec := nat -> R.

(* The sum of the first k entries. *)
Fixpoint total (k : nat) (x : nat -> R) : R :=
  match k with O => 0 | S j => total j x + x j end.

Definition dot (n : nat) (u v : vec) : R := total n (fun i => u i * v i).
Definition add (u v : vec) : vec := fun i => u i + v i.
Definition scal (c : R) (u : vec) : vec := fun i => c * u i.

(* --- sums --- *)

Lemma total_ext k x y : (forall i, (i < k)%nat -> x i = y i) -> total k x = total k y.
Proof.
  intros H; induction k as [|k IH]; [reflexivity|]; simpl.
  rewrite IH by (intros; apply H; lia). rewrite H by lia. reflexivity.
Qed.

Lemma total_plus k x y : total k (fun i => x i + y i) = total k x + total k y.
Proof. induction k as [|k IH]; simpl; [ring|rewrite IH; ring]. Qed.

Lemma total_scal k c x : total k (fun i => c * x i) = c * total k x.
Proof. induction k as [|k IH]; simpl; [ring|rewrite IH; ring]. Qed.

Lemma total_zero k : total k (fun _ => 0) = 0.
Proof. induction k as [|k IH]; simpl; [reflexivity|rewrite IH; ring]. Qed.

Lemma total_nonneg k x : (forall i, 0 <= x i) -> 0 <= total k x.
Proof. intros H; induction k as [|k IH]; simpl; [lra|]. pose proof (H k). lra. Qed.

Lemma total_le k x y : (forall i, x i <= y i) -> total k x <= total k y.
Proof. intros H; induction k as [|k IH]; simpl; [lra|]. pose proof (H k). lra. Qed.

(* Two sums may be taken in either order. *)
Lemma total_swap k l (x : nat -> nat -> R) :
  total k (fun i => total l (fun j => x i j)) = total l (fun j => total k (fun i => x i j)).
Proof.
  induction k as [|k IH]; simpl; [rewrite total_zero; reflexivity|].
  rewrite IH, total_plus. reflexivity.
Qed.

(* --- the inner product is a symmetric, positive bilinear form --- *)

Lemma dot_sym n u v : dot n u v = dot n v u.
Proof. unfold dot; apply total_ext; intros; ring. Qed.

Lemma dot_add_l n u v w : dot n (add u v) w = dot n u w + dot n v w.
Proof. unfold dot, add; rewrite <- total_plus; apply total_ext; intros; ring. Qed.

Lemma dot_add_r n u v w : dot n w (add u v) = dot n w u + dot n w v.
Proof. unfold dot, add; rewrite <- total_plus; apply total_ext; intros; ring. Qed.

Lemma dot_scal_l n c u v : dot n (scal c u) v = c * dot n u v.
Proof. unfold dot, scal; rewrite <- total_scal; apply total_ext; intros; ring. Qed.

Lemma dot_scal_r n c u v : dot n u (scal c v) = c * dot n u v.
Proof. unfold dot, scal; rewrite <- total_scal; apply total_ext; intros; ring. Qed.

Lemma dot_nonneg n u : 0 <= dot n u u.
Proof. unfold dot; apply total_nonneg; intros; apply Rle_0_sqr. Qed.

(* Expand inner products of combinations: autorewrite with bilinear. *)
#[export] Hint Rewrite dot_add_l dot_add_r dot_scal_l dot_scal_r : bilinear.

(* 2 |u.v| <= |u|^2 + |v|^2 *)
Lemma dot_bounds n u v :
  - (dot n u u + dot n v v) <= 2 * dot n u v <= dot n u u + dot n v v.
Proof.
  pose proof (dot_nonneg n (add u v)) as P. pose proof (dot_nonneg n (add u (scal (-1) v))) as M.
  autorewrite with bilinear in P, M. rewrite (dot_sym n v u) in P, M. lra.
Qed.

(* Cauchy-Schwarz. *)
Lemma cauchy_schwarz n u v : (dot n u v)^2 <= dot n u u * dot n v v.
Proof.
  pose proof (dot_nonneg n u) as U. pose proof (dot_nonneg n v) as V.
  pose proof (dot_nonneg n (add (scal (dot n v v) u) (scal (- dot n u v) v))) as H.
  autorewrite with bilinear in H. rewrite (dot_sym n v u) in H.
  assert (E : 0 <= dot n v v * (dot n u u * dot n v v - (dot n u v)^2)) by nra.
  destruct V as [V|V]; [nra|].
  destruct (Req_dec (dot n u v) 0) as [Z|Z]; [rewrite Z, <- V; nra|exfalso].
  pose proof (dot_nonneg n (add u (scal (- (1 + dot n u u) / (2 * dot n u v)) v))) as P.
  autorewrite with bilinear in P. rewrite (dot_sym n v u), <- V in P.
  replace (dot n u u + _ + _) with (-1) in P by (field; exact Z). lra.
Qed.

(* --- the width as a real number --- *)

Lemma width_pos n : (0 < n)%nat -> 0 < INR n.
Proof. intros; apply lt_0_INR; assumption. Qed.

Lemma root_pos n : (0 < n)%nat -> 0 < sqrt (INR n).
Proof. intros; apply sqrt_lt_R0, width_pos; assumption. Qed.

Lemma width_root n : INR n = sqrt (INR n) ^ 2.
Proof. simpl. rewrite Rmult_1_r, sqrt_sqrt; [reflexivity|apply pos_INR]. Qed.

(* Write r for sqrt n and r^2 for n: what is left is an identity of rational functions. *)
Ltac by_root wide :=
  match type of wide with
  | (0 < ?n)%nat =>
      let R := fresh "R" in let W := fresh "W" in let r := fresh "r" in
      pose proof (root_pos n wide) as R; pose proof (width_root n) as W;
      set (r := sqrt (INR n)) in *; clearbody r; rewrite ?W; clear W
  end.
