(* The two-layer linear network on m samples with one output and labels 0,
     f_alpha = v.(U x_alpha) / sqrt n,   L = (1/2m) sum_alpha f_alpha^2,
   with v and the d columns U_i of U vectors of any length n. Statements samples-A and samples-B:
   conditions on the start under which gradient descent converges.

   Nothing is rotated or reduced: c bounds the covariance C = X^T X/m of the data from above,
   z^T C z <= c |z|^2, which is what lambda_max(C) <= c means. *)
From Coq Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Catapult Require Import vectors.
Open Scope R_scope.

(* --- combinations of vectors --- *)

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

(* --- the network and its step --- *)

Section Network.
Variables (n d m : nat) (X : nat -> vec) (eta : R).
Hypothesis wide : (0 < n)%nat.
Hypothesis some_data : (0 < m)%nat.

(* The hidden layer on an input z, and the output on sample alpha. *)
Definition hidden (U : nat -> vec) (z : vec) : vec := comb d z U.
Definition out (U : nat -> vec) (v : vec) (alpha : nat) : R :=
  dot n v (hidden U (X alpha)) / sqrt (INR n).

(* E = mean f^2 is twice the loss. *)
Definition E (U : nat -> vec) (v : vec) : R := mean m (fun al => out U v al * out U v al).
Definition Loss U v : R := E U v / 2.

(* Z = dL/dW = (1/m) sum_alpha f_alpha x_alpha, a vector of length d. *)
Definition Z (U : nat -> vec) (v : vec) : vec :=
  comb m (fun al => out U v al / INR m) X.

Definition next_v (U : nat -> vec) (v : vec) : vec :=
  add v (scal (- (eta / sqrt (INR n))) (hidden U (Z U v))).
Definition next_U (U : nat -> vec) (v : vec) : nat -> vec :=
  fun i => add (U i) (scal (- (eta / sqrt (INR n) * Z U v i)) v).

(* The invariants: s = |v|^2/n, |U|_F^2, and tr(CG) = mean |U x_alpha|^2 / n. *)
Definition s (v : vec) : R := dot n v v / INR n.
Definition frobenius (U : nat -> vec) : R := total d (fun i => dot n (U i) (U i)).
Definition trCG (U : nat -> vec) : R :=
  mean m (fun al => dot n (hidden U (X al)) (hidden U (X al))) / INR n.

Lemma m_pos : 0 < INR m. Proof. apply width_pos, some_data. Qed.
Lemma n_pos : 0 < INR n. Proof. apply width_pos, wide. Qed.

Section One_step.
Variables (U : nat -> vec) (v : vec).

Let f := out U v.
Let z := Z U v.
Let h al := dot d (X al) z.

Lemma E_nonneg : 0 <= E U v.
Proof. apply mean_nonneg; [exact some_data|intros; apply Rle_0_sqr]. Qed.

Lemma trCG_nonneg : 0 <= trCG U.
Proof.
  apply Rdiv_le_0_compat; [|exact n_pos]. apply mean_nonneg; [exact some_data|].
  intros; apply dot_nonneg.
Qed.

(* On any input w: <v, U z> = (1/m) sum f_alpha <v, U x_alpha> and so on. *)
Lemma hidden_of_Z j : hidden U z j = comb m (fun al => f al / INR m) (fun al => hidden U (X al)) j.
Proof. unfold hidden, z, Z. symmetry. apply comb_comb. Qed.

Lemma v_hidden_Z : dot n v (hidden U z) = sqrt (INR n) * E U v.
Proof.
  rewrite (dot_ext n v (hidden U z) v (comb m (fun al => f al / INR m) (fun al => hidden U (X al))))
    by (intros; first [apply hidden_of_Z|reflexivity]).
  rewrite dot_comb_r. unfold E, mean. pose proof (root_pos n wide) as R. pose proof m_pos as M.
  transitivity (sqrt (INR n) * / INR m * total m (fun al => f al * f al));
    [|unfold f, Rdiv; ring].
  rewrite <- total_scal. apply total_ext; intros al _.
  replace (dot n v (hidden U (X al))) with (sqrt (INR n) * f al) by (unfold f, out; field; lra).
  field; lra.
Qed.

Lemma Z_norm : dot d z z = mean m (fun al => f al * h al).
Proof.
  unfold z at 1, Z. rewrite dot_comb_l. unfold mean.
  transitivity (/ INR m * total m (fun al => f al * h al)); [|unfold Rdiv; ring].
  rewrite <- total_scal. apply total_ext; intros. unfold h, f, Rdiv. ring.
Qed.

(* |v'|^2 = |v|^2 - 2 eta E + (eta^2/n) |UZ|^2 *)
Lemma next_v_norm : dot n (next_v U v) (next_v U v) =
  dot n v v - 2 * eta * E U v + eta^2 / INR n * dot n (hidden U z) (hidden U z).
Proof.
  unfold next_v. fold z. autorewrite with bilinear.
  rewrite (dot_sym n (hidden U z) v), v_hidden_Z. by_root wide. field; lra.
Qed.

(* |U'w|^2 = |Uw|^2 - 2 (eta/sqrt n) (w.Z) <v, Uw> + (eta^2/n) (w.Z)^2 |v|^2 on any input w *)
Lemma next_hidden w j : hidden (next_U U v) w j =
  add (hidden U w) (scal (- (eta / sqrt (INR n) * dot d w z)) v) j.
Proof.
  unfold hidden, next_U, comb, add, scal, dot. fold z.
  rewrite (total_ext d _ (fun i => w i * U i j + - (eta / sqrt (INR n)) * v j * (w i * z i)))
    by (intros; ring).
  rewrite total_plus, total_scal. ring.
Qed.

Lemma next_hidden_norm w : dot n (hidden (next_U U v) w) (hidden (next_U U v) w) =
  dot n (hidden U w) (hidden U w)
  - 2 * (eta / sqrt (INR n)) * dot d w z * dot n v (hidden U w)
  + eta^2 / INR n * (dot d w z)^2 * dot n v v.
Proof.
  rewrite (dot_ext n _ _ _ _ (fun i _ => next_hidden w i) (fun i _ => next_hidden w i)).
  autorewrite with bilinear. rewrite (dot_sym n (hidden U w) v). by_root wide. field; lra.
Qed.

(* |U'|_F^2 = |U|_F^2 - 2 eta E + (eta^2/n) |Z|^2 |v|^2 *)
Lemma next_frobenius : frobenius (next_U U v) =
  frobenius U - 2 * eta * E U v + eta^2 / INR n * dot d z z * dot n v v.
Proof.
  pose proof v_hidden_Z as H. unfold hidden in H. rewrite dot_comb_r in H.
  unfold frobenius, next_U. fold z.
  rewrite (total_ext d _ (fun i => dot n (U i) (U i)
    + (- (2 * (eta / sqrt (INR n))) * (z i * dot n v (U i))
       + eta^2 / INR n * dot n v v * (z i * z i)))).
  - rewrite total_plus, total_plus, !total_scal, H.
    change (total d (fun i => z i * z i)) with (dot d z z). by_root wide. field; lra.
  - intros. autorewrite with bilinear. rewrite (dot_sym n (U i) v). by_root wide. field; lra.
Qed.

(* s' = s - (2 eta/n) E + (eta^2/n) |UZ|^2/n *)
Lemma next_s : s (next_v U v) =
  s v - eta / INR n * (2 * E U v - eta * (dot n (hidden U z) (hidden U z) / INR n)).
Proof. unfold s. rewrite next_v_norm. pose proof n_pos. field; lra. Qed.

(* tr(CG)' = tr(CG) - (eta/n) (2 |Z|^2 - eta s Z^T C Z) *)
Lemma next_trCG : trCG (next_U U v) =
  trCG U - eta / INR n * (2 * dot d z z - eta * s v * mean m (fun al => h al * h al)).
Proof.
  unfold trCG.
  rewrite (mean_ext m _ (fun al => dot n (hidden U (X al)) (hidden U (X al))
    + (- 2 * eta * (f al * h al) + eta^2 * s v * (h al * h al)))).
  - rewrite mean_plus, mean_plus, !mean_scal, Z_norm. pose proof n_pos. field; lra.
  - intros al _. rewrite next_hidden_norm. fold (h al). unfold f, out, s. by_root wide. field; lra.
Qed.

(* |UZ|^2/n <= E tr(CG) *)
Lemma hidden_Z_bound : dot n (hidden U z) (hidden U z) / INR n <= E U v * trCG U.
Proof.
  rewrite (dot_ext n _ _ _ _ (fun i _ => hidden_of_Z i) (fun i _ => hidden_of_Z i)).
  pose proof (comb_bound n m (fun al => f al / INR m) (fun al => hidden U (X al))) as H.
  assert (S : dot m (fun al => f al / INR m) (fun al => f al / INR m) = E U v / INR m).
  { unfold E, mean, dot. pose proof m_pos. unfold Rdiv at 3 4.
    rewrite (total_ext m _ (fun al => / INR m * / INR m * (out U v al * out U v al)))
      by (intros; unfold f; field; lra).
    rewrite total_scal. ring. }
  rewrite S in H. pose proof n_pos as N. pose proof m_pos as M. unfold trCG, mean.
  apply Rmult_le_reg_r with (INR n); [exact N|].
  unfold Rdiv at 1. rewrite Rmult_assoc, Rinv_l, Rmult_1_r by lra.
  apply Rle_trans with (1 := H). right. field. split; lra.
Qed.

(* |UZ|^2 <= |Z|^2 |U|_F^2 *)
Lemma hidden_Z_frobenius : dot n (hidden U z) (hidden U z) <= dot d z z * frobenius U.
Proof. apply comb_bound. Qed.

(* The step is gradient descent on L: along any direction (H, h) the derivative of the loss is the
   inner product with (Z_i v / sqrt n, U Z / sqrt n). *)
Theorem samples_gradient (H : nat -> vec) (g : vec) :
  is_derive (fun t => Loss (fun i => add (U i) (scal t (H i))) (add v (scal t g))) 0
    (dot n (scal (/ sqrt (INR n)) (hidden U z)) g
     + total d (fun i => dot n (scal (z i / sqrt (INR n)) v) (H i))).
Proof.
  pose proof (root_pos n wide) as R. pose proof m_pos as M.
  set (A := fun al => dot n v (hidden U (X al))).
  set (B := fun al => dot n g (hidden U (X al)) + dot n v (hidden H (X al))).
  set (D := fun al => dot n g (hidden H (X al))).
  assert (Moved : forall t al,
    out (fun i => add (U i) (scal t (H i))) (add v (scal t g)) al
    = (A al + t * B al + t^2 * D al) / sqrt (INR n)).
  { intros t al. unfold out.
    rewrite (dot_ext n (add v (scal t g)) _ (add v (scal t g))
      (add (hidden U (X al)) (scal t (hidden H (X al))))).
    - autorewrite with bilinear. unfold A, B, D. f_equal. ring.
    - reflexivity.
    - intros j _. unfold hidden, comb, add, scal. rewrite <- total_scal, <- total_plus.
      apply total_ext; intros; ring. }
  assert (Polynomial : forall t, / (2 * INR m) * total m (fun al =>
      ((A al + t * B al + t^2 * D al) / sqrt (INR n))^2)
    = Loss (fun i => add (U i) (scal t (H i))) (add v (scal t g))).
  { intros t. unfold Loss, E, mean.
    rewrite (total_ext m (fun al => out _ _ al * _) (fun al =>
      ((A al + t * B al + t^2 * D al) / sqrt (INR n))^2)) by (intros; rewrite Moved; ring).
    field; lra. }
  apply (is_derive_ext (fun t => / (2 * INR m) * total m (fun al =>
    ((A al + t * B al + t^2 * D al) / sqrt (INR n))^2)) _ _ _ Polynomial).
  replace (dot n _ g + _) with (/ (2 * INR m) * total m (fun al => 2 * f al * B al / sqrt (INR n))).
  - apply (is_derive_scal (fun t => total m (fun al =>
      ((A al + t * B al + t^2 * D al) / sqrt (INR n))^2))).
    apply (is_derive_total m (fun al t => ((A al + t * B al + t^2 * D al) / sqrt (INR n))^2)).
    intros al. unfold f, out. fold (A al). auto_derive; [exact I|field; lra].
  - rewrite (total_ext d _ (fun i => / sqrt (INR n) * (z i * dot n v (H i))))
      by (intros; autorewrite with bilinear; field; lra).
    rewrite total_scal, <- (dot_comb_r n d z H v), dot_scal_l.
    rewrite (dot_ext n (hidden U z) g (comb m (fun al => f al / INR m) (fun al => hidden U (X al))) g)
      by (intros; first [apply hidden_of_Z|reflexivity]).
    rewrite (dot_ext n v (comb d z H) v (comb m (fun al => f al / INR m) (fun al => hidden H (X al))))
      by (intros; first [symmetry; apply comb_comb|reflexivity]).
    rewrite dot_comb_l, dot_comb_r, <- !total_scal, <- total_plus.
    apply total_ext; intros al _. unfold B. rewrite (dot_sym n g (hidden U (X al))). field. split; lra.
Qed.

Variable c : R.
Hypothesis c_pos : 0 < c.
Hypothesis covariance : forall w, mean m (fun al => dot d (X al) w * dot d (X al) w) <= c * dot d w w.

(* Z^T C Z <= c |Z|^2 and |Z|^2 <= c E *)
Lemma Z_bound : dot d z z <= c * E U v.
Proof.
  pose proof (mean_cauchy_schwarz m f h some_data) as H. rewrite <- Z_norm in H.
  pose proof (covariance z) as C. fold h in C. pose proof (dot_nonneg d z) as P.
  pose proof E_nonneg as E0. change (mean m (fun i => f i * f i)) with (E U v) in H.
  assert (Q : (dot d z z)^2 <= E U v * (c * dot d z z)).
  { apply Rle_trans with (1 := H). apply Rmult_le_compat_l; [exact E0|exact C]. }
  destruct P as [P|P]; [nra|]. rewrite <- P. apply Rmult_le_pos; lra.
Qed.

Lemma ZCZ_bound : mean m (fun al => h al * h al) <= c * dot d z z.
Proof. apply covariance. Qed.
End One_step.

(* --- training --- *)

Variables (U0 : nat -> vec) (v0 : vec) (c : R).
Hypothesis eta_pos : 0 < eta.
Hypothesis c_pos : 0 < c.
Hypothesis covariance : forall w, mean m (fun al => dot d (X al) w * dot d (X al) w) <= c * dot d w w.

Fixpoint trained (t : nat) : (nat -> vec) * vec :=
  match t with
  | O => (U0, v0)
  | S j => let (U, v) := trained j in (next_U U v, next_v U v)
  end.

Definition Ut t := fst (trained t).
Definition vt t := snd (trained t).
Definition loss t := Loss (Ut t) (vt t).
Definition weight t := dot n (vt t) (vt t) + frobenius (Ut t).

Lemma Ut_step t : Ut (S t) = next_U (Ut t) (vt t).
Proof. unfold Ut, vt. simpl. destruct (trained t); reflexivity. Qed.
Lemma vt_step t : vt (S t) = next_v (Ut t) (vt t).
Proof. unfold Ut, vt. simpl. destruct (trained t); reflexivity. Qed.

Lemma loss_nonneg t : 0 <= loss t.
Proof. unfold loss, Loss. pose proof (E_nonneg (Ut t) (vt t)). lra. Qed.

(* What pays for the loss at every step makes its sum finite. *)
Lemma summable (budget : nat -> R) (gap : R) : 0 < gap ->
  (forall t, 0 <= budget t) -> (forall t, gap * loss t <= budget t - budget (S t)) ->
  (forall T, sum_f_R0 loss T <= budget O / gap) /\ is_lim_seq loss 0.
Proof.
  intros G B H.
  assert (Sum : forall T, gap * sum_f_R0 loss T <= budget O - budget (S T)).
  { induction T as [|T IH]; [apply H|]. rewrite tech5. pose proof (H (S T)). lra. }
  assert (Bound : forall T, sum_f_R0 loss T <= budget O / gap).
  { intros T. apply Rmult_le_reg_l with gap; [exact G|].
    replace (gap * (budget O / gap)) with (budget O) by (field; lra).
    pose proof (Sum T). pose proof (B (S T)). lra. }
  split; [exact Bound|].
  destruct (ex_finite_lim_seq_incr (sum_f_R0 loss) (budget O / gap)) as [l L]; [|exact Bound|].
  { intros T; rewrite tech5. pose proof (loss_nonneg (S T)). lra. }
  apply is_lim_seq_incr_1.
  apply is_lim_seq_ext with (fun T => sum_f_R0 loss (S T) - sum_f_R0 loss T).
  { intros T; rewrite tech5; ring. }
  replace (Finite 0) with (Finite (l - l)) by (f_equal; ring).
  apply is_lim_seq_minus'; [apply -> is_lim_seq_incr_1; exact L|exact L].
Qed.

(* One step of A: the weight norm pays eta E (4 - eta c weight/n). *)
Lemma weight_step t :
  weight (S t) <= weight t - eta * E (Ut t) (vt t) * (4 - eta * c * weight t / INR n).
Proof.
  unfold weight. rewrite Ut_step, vt_step. set (U := Ut t). set (v := vt t).
  rewrite next_v_norm, next_frobenius.
  pose proof (hidden_Z_frobenius U v) as H. pose proof (Z_bound U v c c_pos covariance) as B.
  pose proof (dot_nonneg n v) as V. pose proof n_pos as N. set (N2 := dot n v v) in *.
  set (F := frobenius U) in *. set (zz := dot d (Z U v) (Z U v)) in *.
  assert (F0 : 0 <= F) by (apply total_nonneg; intros; apply dot_nonneg).
  assert (Q : dot n (hidden U (Z U v)) (hidden U (Z U v)) + zz * N2 <= c * E U v * (N2 + F)).
  { apply Rle_trans with (zz * (N2 + F)); [lra|]. apply Rmult_le_compat_r; lra. }
  assert (C : 0 <= eta^2 / INR n) by (apply Rdiv_le_0_compat; [apply pow2_ge_0|exact N]).
  apply Rmult_le_compat_l with (1 := C) in Q.
  replace (eta * E U v * (4 - eta * c * (N2 + F) / INR n))
    with (4 * eta * E U v - eta^2 / INR n * (c * E U v * (N2 + F))) by (field; lra).
  lra.
Qed.

Lemma weight_nonneg t : 0 <= weight t.
Proof.
  unfold weight. pose proof (dot_nonneg n (vt t)).
  assert (0 <= frobenius (Ut t)) by (apply total_nonneg; intros; apply dot_nonneg). lra.
Qed.

(* samples-A: eta lambda_max(C) (|v|^2 + |U|_F^2)/n < 4 at the start implies that the weight norm
   never grows, that the sum of the losses is finite (with its bound), and that the loss goes to 0. *)
Theorem samples_A : eta * c * weight O / INR n < 4 ->
  (forall t, weight (S t) <= weight t) /\
  (forall T, sum_f_R0 loss T <= weight O / (2 * eta * (4 - eta * c * weight O / INR n))) /\
  is_lim_seq loss 0.
Proof.
  intros H. set (gap := 4 - eta * c * weight O / INR n). pose proof n_pos as N.
  assert (I : forall t, weight t <= weight O -> gap <= 4 - eta * c * weight t / INR n).
  { intros t W. unfold gap, Rdiv.
    assert (eta * c * weight t * / INR n <= eta * c * weight O * / INR n); [|lra].
    apply Rmult_le_compat_r; [left; apply Rinv_0_lt_compat, N|].
    apply Rmult_le_compat_l; [apply Rmult_le_pos; lra|exact W]. }
  assert (P : forall t, weight t <= weight O -> 2 * eta * gap * loss t <= weight t - weight (S t)).
  { intros t W. pose proof (weight_step t) as St. pose proof (E_nonneg (Ut t) (vt t)) as E0.
    unfold loss, Loss. specialize (I t W).
    assert (eta * E (Ut t) (vt t) * gap <= eta * E (Ut t) (vt t) * (4 - eta * c * weight t / INR n))
      by (apply Rmult_le_compat_l; [apply Rmult_le_pos; lra|exact I]). lra. }
  assert (G : 0 < 2 * eta * gap) by (unfold gap; apply Rmult_lt_0_compat; lra).
  assert (M : forall t, weight t <= weight O).
  { induction t as [|t IH]; [lra|]. pose proof (P t IH). pose proof (loss_nonneg t).
    assert (0 <= 2 * eta * gap * loss t) by (apply Rmult_le_pos; lra). lra. }
  split; [|apply (summable weight (2 * eta * gap) G weight_nonneg); intros; apply P, M].
  intros t. pose proof (P t (M t)). pose proof (loss_nonneg t).
  assert (0 <= 2 * eta * gap * loss t) by (apply Rmult_le_pos; lra). lra.
Qed.

(* One step of B: s pays (eta/n) E (2 - eta tr(CG)), and tr(CG) pays (eta/n) |Z|^2 (2 - eta s c). *)
Lemma s_step t : s (vt (S t)) <= s (vt t) - eta / INR n * E (Ut t) (vt t) * (2 - eta * trCG (Ut t)).
Proof.
  rewrite vt_step, next_s. pose proof (hidden_Z_bound (Ut t) (vt t)) as H.
  pose proof n_pos as N. assert (C : 0 <= eta / INR n * eta).
  { apply Rmult_le_pos; [apply Rdiv_le_0_compat; lra|lra]. }
  apply Rmult_le_compat_l with (1 := C) in H. lra.
Qed.

Lemma s_nonneg v : 0 <= s v.
Proof. apply Rdiv_le_0_compat; [apply dot_nonneg|exact n_pos]. Qed.

Lemma trCG_step t : trCG (Ut (S t)) <=
  trCG (Ut t) - eta / INR n * dot d (Z (Ut t) (vt t)) (Z (Ut t) (vt t)) * (2 - eta * (s (vt t) * c)).
Proof.
  rewrite Ut_step, next_trCG. pose proof (ZCZ_bound (Ut t) (vt t) c covariance) as H.
  pose proof n_pos as N. pose proof (s_nonneg (vt t)) as S0.
  assert (C : 0 <= eta / INR n * (eta * s (vt t))).
  { apply Rmult_le_pos; [apply Rdiv_le_0_compat; lra|apply Rmult_le_pos; lra]. }
  apply Rmult_le_compat_l with (1 := C) in H. lra.
Qed.

(* On an eigenvector e of C, C e = mu e, the diagonal entry |U e|^2 never grows where
   eta s mu <= 2. *)
Lemma eigen_step t e mu : 0 <= mu -> eta * s (vt t) * mu <= 2 ->
  (forall i, (i < d)%nat -> mean m (fun al => dot d (X al) e * X al i) = mu * e i) ->
  dot n (hidden (Ut (S t)) e) (hidden (Ut (S t)) e) <= dot n (hidden (Ut t) e) (hidden (Ut t) e).
Proof.
  intros Mu H Eig. rewrite Ut_step, next_hidden_norm.
  set (U := Ut t) in *. set (v := vt t) in *.
  (* e.Z = mu W.e with W.e = <v, U e>/sqrt n *)
  assert (EZ : dot d e (Z U v) = mu * (dot n v (hidden U e) / sqrt (INR n))).
  { unfold Z. rewrite dot_comb_r. unfold hidden. rewrite dot_comb_r.
    pose proof m_pos as M. pose proof (root_pos n wide) as R.
    transitivity (total d (fun i => / sqrt (INR n) * (mu * e i) * dot n v (U i))).
    2: { unfold Rdiv. transitivity (mu * / sqrt (INR n) * total d (fun i => e i * dot n v (U i)));
         [rewrite <- total_scal; apply total_ext; intros; ring|ring]. }
    transitivity (total d (fun i => total m (fun al =>
      / sqrt (INR n) * / INR m * (dot d (X al) e * X al i) * dot n v (U i)))).
    - rewrite total_swap. apply total_ext; intros al _. unfold out, hidden.
      rewrite dot_comb_r, (dot_sym d e (X al)). unfold Rdiv.
      transitivity (/ sqrt (INR n) * / INR m * dot d (X al) e
        * total d (fun i => X al i * dot n v (U i))); [ring|].
      rewrite <- total_scal. apply total_ext; intros; ring.
    - apply total_ext; intros i Hi. rewrite <- (Eig i Hi). unfold mean, Rdiv.
      rewrite (total_ext m _ (fun al => / sqrt (INR n) * / INR m * dot n v (U i)
        * (dot d (X al) e * X al i))) by (intros; ring).
      rewrite total_scal. ring. }
  rewrite EZ. pose proof n_pos as N.
  set (w := dot n v (hidden U e) / sqrt (INR n)).
  replace (dot n v (hidden U e)) with (sqrt (INR n) * w)
    by (unfold w; pose proof (root_pos n wide); field; lra).
  assert (Id : dot n (hidden U e) (hidden U e) - 2 * (eta / sqrt (INR n)) * (mu * w) * (sqrt (INR n) * w)
    + eta^2 / INR n * (mu * w)^2 * dot n v v
    = dot n (hidden U e) (hidden U e) - eta * mu * w^2 * (2 - eta * s v * mu)).
  { unfold s. by_root wide. field; lra. }
  rewrite Id.
  assert (0 <= eta * mu * w^2 * (2 - eta * s v * mu)).
  { apply Rmult_le_pos; [|lra]. apply Rmult_le_pos; [apply Rmult_le_pos; lra|apply pow2_ge_0]. }
  lra.
Qed.

(* samples-B: eta max(s lambda_max(C), tr(CG)) < 2 at the start implies that s, tr(CG) and the
   diagonal of G in the eigenbasis of C never grow, and that the loss goes to 0. *)
Theorem samples_B : eta * (s v0 * c) < 2 -> eta * trCG U0 < 2 ->
  (forall t, s (vt (S t)) <= s (vt t) /\ trCG (Ut (S t)) <= trCG (Ut t)) /\
  (forall t e mu, 0 <= mu <= c ->
     (forall i, (i < d)%nat -> mean m (fun al => dot d (X al) e * X al i) = mu * e i) ->
     dot n (hidden (Ut (S t)) e) (hidden (Ut (S t)) e) <= dot n (hidden (Ut t) e) (hidden (Ut t) e)) /\
  (forall T, sum_f_R0 loss T <= s v0 / (2 * (eta / INR n) * (2 - eta * trCG U0))) /\
  is_lim_seq loss 0.
Proof.
  intros HS HT. pose proof n_pos as N.
  assert (Q : 0 < eta / INR n) by (apply Rdiv_lt_0_compat; assumption).
  assert (M : forall t, (s (vt t) <= s v0 /\ trCG (Ut t) <= trCG U0) /\
    (s (vt (S t)) <= s (vt t) /\ trCG (Ut (S t)) <= trCG (Ut t)) /\
    2 * (eta / INR n) * (2 - eta * trCG U0) * loss t <= s (vt t) - s (vt (S t))).
  { assert (Step : forall t, s (vt t) <= s v0 /\ trCG (Ut t) <= trCG U0 ->
      (s (vt (S t)) <= s (vt t) /\ trCG (Ut (S t)) <= trCG (Ut t)) /\
      2 * (eta / INR n) * (2 - eta * trCG U0) * loss t <= s (vt t) - s (vt (S t))).
    { intros t [A B]. pose proof (s_step t) as S1. pose proof (trCG_step t) as T1.
      pose proof (E_nonneg (Ut t) (vt t)) as E0. pose proof (dot_nonneg d (Z (Ut t) (vt t))) as Z0.
      assert (HA : eta * (s (vt t) * c) < 2).
      { apply Rle_lt_trans with (2 := HS). apply Rmult_le_compat_l; [lra|].
        apply Rmult_le_compat_r; lra. }
      assert (HB : eta * trCG (Ut t) <= eta * trCG U0) by (apply Rmult_le_compat_l; lra).
      assert (P1 : 0 <= eta / INR n * E (Ut t) (vt t)) by (apply Rmult_le_pos; lra).
      assert (P2 : 0 <= eta / INR n * dot d (Z (Ut t) (vt t)) (Z (Ut t) (vt t)))
        by (apply Rmult_le_pos; lra).
      assert (P3 : eta / INR n * E (Ut t) (vt t) * (2 - eta * trCG U0) <=
                   eta / INR n * E (Ut t) (vt t) * (2 - eta * trCG (Ut t)))
        by (apply Rmult_le_compat_l; lra).
      assert (P4 : 0 <= eta / INR n * E (Ut t) (vt t) * (2 - eta * trCG U0))
        by (apply Rmult_le_pos; lra).
      assert (P5 : 0 <= eta / INR n * dot d (Z (Ut t) (vt t)) (Z (Ut t) (vt t))
                        * (2 - eta * (s (vt t) * c))) by (apply Rmult_le_pos; lra).
      unfold loss, Loss. repeat split; lra. }
    induction t as [|t [[A B] [[C D] _]]]; [split; [split; apply Rle_refl|apply Step; split; apply Rle_refl]|].
    assert (J : s (vt (S t)) <= s v0 /\ trCG (Ut (S t)) <= trCG U0) by (split; lra).
    split; [exact J|apply Step, J]. }
  split; [intros t; apply (M t)|]. split.
  - intros t e mu [Mu1 Mu2] Eig. apply (eigen_step t e mu Mu1); [|exact Eig].
    destruct (M t) as [[A _] _]. pose proof (s_nonneg (vt t)).
    apply Rle_trans with (eta * (s v0 * c)); [|lra]. rewrite Rmult_assoc.
    apply Rmult_le_compat_l; [lra|]. apply Rmult_le_compat; lra.
  - apply (summable (fun t => s (vt t))); [|intros; apply s_nonneg|intros t; apply (M t)].
    apply Rmult_lt_0_compat; [lra|]. unfold Rminus. lra.
Qed.

(* --- whitened data: C is c times the identity on the data --- *)

Hypothesis whitened : forall al i, (al < m)%nat -> (i < d)%nat ->
  mean m (fun be => dot d (X be) (X al) * X be i) = c * X al i.

(* The kernel Theta/m as a quadratic form on samples: zeta^T Theta zeta / m. *)
Definition ntk (U : nat -> vec) (v : vec) (zeta : vec) : R :=
  (s v * dot d (comb m zeta X) (comb m zeta X)
   + dot n (hidden U (comb m zeta X)) (hidden U (comb m zeta X)) / INR n) / INR m.

(* Its part from the first layer. *)
Definition layer (U : nat -> vec) (zeta : vec) : R :=
  dot n (hidden U (comb m zeta X)) (hidden U (comb m zeta X)) / INR n / INR m.

(* C Z = c Z, seen from a sample: x_alpha.Z = c f_alpha. *)
Lemma sample_Z U v al : (al < m)%nat -> dot d (X al) (Z U v) = c * out U v al.
Proof.
  intros Al. pose proof m_pos as M. pose proof (root_pos n wide) as R.
  unfold Z. rewrite dot_comb_r. unfold out at 2, hidden. rewrite dot_comb_r.
  transitivity (/ sqrt (INR n) * total d (fun i => c * X al i * dot n v (U i))).
  2: { unfold Rdiv. rewrite (total_ext d _ (fun i => c * (X al i * dot n v (U i)))) by (intros; ring).
       rewrite total_scal. ring. }
  rewrite (total_ext d _ (fun i => total m (fun be =>
    / INR m * (dot d (X be) (X al) * X be i * dot n v (U i))))).
  2: { intros i Hi. rewrite <- (whitened al i Al Hi). unfold mean, Rdiv.
       rewrite (total_ext m (fun be => / INR m * _)
         (fun be => / INR m * dot n v (U i) * (dot d (X be) (X al) * X be i))) by (intros; ring).
       rewrite total_scal. ring. }
  rewrite <- total_swap, <- total_scal. apply total_ext; intros be _.
  rewrite (dot_sym d (X al) (X be)). unfold out, hidden. rewrite dot_comb_r. unfold Rdiv.
  transitivity (/ sqrt (INR n) * (/ INR m * dot d (X be) (X al)
    * total d (fun i => X be i * dot n v (U i)))); [ring|].
  rewrite <- total_scal. f_equal. apply total_ext; intros; ring.
Qed.

(* The first layer's part falls in the direction of the outputs alone. *)
Lemma layer_step t zeta : layer (Ut (S t)) zeta = layer (Ut t) zeta
  - eta * c / (INR n * INR m) * (dot m zeta (out (Ut t) (vt t)))^2 * (2 - eta * (s (vt t) * c)).
Proof.
  unfold layer. rewrite Ut_step, next_hidden_norm. set (U := Ut t). set (v := vt t).
  assert (A : dot d (comb m zeta X) (Z U v) = c * dot m zeta (out U v)).
  { rewrite dot_comb_l. unfold dot at 2. rewrite <- total_scal. apply total_ext; intros al Al.
    rewrite (sample_Z U v al Al). ring. }
  assert (B : dot n v (hidden U (comb m zeta X)) = sqrt (INR n) * dot m zeta (out U v)).
  { rewrite (dot_ext n v _ v (comb m zeta (fun al => hidden U (X al))))
      by (intros; first [symmetry; apply comb_comb|reflexivity]).
    rewrite dot_comb_r. unfold dot at 2. rewrite <- total_scal. apply total_ext; intros al _.
    unfold out. pose proof (root_pos n wide). field; lra. }
  rewrite A, B. unfold s. pose proof m_pos as M. by_root wide. field; lra.
Qed.

(* |UZ|^2/n is the quadratic form at the outputs. *)
Lemma hidden_Z_layer U v : dot n (hidden U (Z U v)) (hidden U (Z U v)) / INR n =
  layer U (out U v) / INR m.
Proof.
  pose proof m_pos as M. unfold layer.
  assert (H : forall j, hidden U (Z U v) j = scal (/ INR m) (hidden U (comb m (out U v) X)) j).
  { intros j. unfold hidden, Z, scal, comb. rewrite <- total_scal. apply total_ext; intros i _.
    rewrite <- Rmult_assoc. f_equal. rewrite <- total_scal.
    apply total_ext; intros al _. unfold Rdiv. ring. }
  rewrite (dot_ext n _ _ _ _ (fun i _ => H i) (fun i _ => H i)). autorewrite with bilinear.
  pose proof n_pos. field. split; lra.
Qed.

Lemma s_layer_step t kappa : (forall zeta, layer (Ut t) zeta <= kappa * dot m zeta zeta) ->
  s (vt (S t)) <= s (vt t) - eta / INR n * E (Ut t) (vt t) * (2 - eta * kappa).
Proof.
  intros H. rewrite vt_step, next_s, hidden_Z_layer. pose proof n_pos as N. pose proof m_pos as M.
  specialize (H (out (Ut t) (vt t))).
  assert (Q : layer (Ut t) (out (Ut t) (vt t)) / INR m <= kappa * E (Ut t) (vt t)).
  { unfold E, mean. unfold dot in H. apply Rmult_le_reg_r with (INR m); [exact M|].
    unfold Rdiv. rewrite Rmult_assoc, Rinv_l, Rmult_1_r by lra.
    rewrite Rmult_assoc, Rmult_assoc, Rinv_l, Rmult_1_r by lra. exact H. }
  assert (C : 0 <= eta / INR n * eta) by (apply Rmult_le_pos; [apply Rdiv_le_0_compat; lra|lra]).
  apply Rmult_le_compat_l with (1 := C) in Q. lra.
Qed.

(* samples-C, whitened data: eta max(c s, lambda_max of the first layer's kernel) < 2 at the start
   implies that s and that kernel never grow, that the sum of the losses is finite, and that the
   loss goes to 0. *)
Theorem samples_C (kappa : R) : eta * (s v0 * c) <= 2 -> eta * kappa < 2 ->
  (forall zeta, layer U0 zeta <= kappa * dot m zeta zeta) ->
  (forall t, s (vt (S t)) <= s (vt t) /\ forall zeta, layer (Ut (S t)) zeta <= layer (Ut t) zeta) /\
  (forall T, sum_f_R0 loss T <= s v0 / (2 * (eta / INR n) * (2 - eta * kappa))) /\
  is_lim_seq loss 0.
Proof.
  intros HS HK K0. pose proof n_pos as N. pose proof m_pos as M.
  assert (Q : 0 < eta / INR n) by (apply Rdiv_lt_0_compat; assumption).
  assert (Step : forall t, s (vt t) <= s v0 -> (forall zeta, layer (Ut t) zeta <= layer U0 zeta) ->
    (s (vt (S t)) <= s (vt t) /\ forall zeta, layer (Ut (S t)) zeta <= layer (Ut t) zeta) /\
    2 * (eta / INR n) * (2 - eta * kappa) * loss t <= s (vt t) - s (vt (S t))).
  { intros t A B. pose proof (E_nonneg (Ut t) (vt t)) as E0.
    assert (Sb : s (vt (S t)) <= s (vt t) - eta / INR n * E (Ut t) (vt t) * (2 - eta * kappa)).
    { apply s_layer_step. intros zeta. apply Rle_trans with (1 := B zeta). apply K0. }
    assert (P : 0 <= eta / INR n * E (Ut t) (vt t) * (2 - eta * kappa))
      by (apply Rmult_le_pos; [apply Rmult_le_pos; lra|lra]).
    split; [split; [lra|]|unfold loss, Loss; lra].
    intros zeta. rewrite layer_step.
    assert (HA : eta * (s (vt t) * c) <= 2).
    { apply Rle_trans with (2 := HS). apply Rmult_le_compat_l; [lra|].
      apply Rmult_le_compat_r; lra. }
    assert (D : 0 <= eta * c / (INR n * INR m)).
    { apply Rdiv_le_0_compat; [apply Rmult_le_pos; lra|apply Rmult_lt_0_compat; assumption]. }
    assert (0 <= eta * c / (INR n * INR m) * (dot m zeta (out (Ut t) (vt t)))^2
                 * (2 - eta * (s (vt t) * c))); [|lra].
    apply Rmult_le_pos; [|lra]. apply Rmult_le_pos; [exact D|apply pow2_ge_0]. }
  assert (All : forall t, s (vt t) <= s v0 /\ forall zeta, layer (Ut t) zeta <= layer U0 zeta).
  { induction t as [|t [A B]]; [split; [|intros]; apply Rle_refl|].
    destruct (Step t A B) as [[C D] _]. split; [lra|].
    intros zeta. apply Rle_trans with (2 := B zeta). apply D. }
  assert (St : forall t, (s (vt (S t)) <= s (vt t) /\
      forall zeta, layer (Ut (S t)) zeta <= layer (Ut t) zeta) /\
      2 * (eta / INR n) * (2 - eta * kappa) * loss t <= s (vt t) - s (vt (S t)))
    by (intros t; apply Step; apply All).
  split; [intros t; apply St|].
  apply (summable (fun t => s (vt t))); [|intros; apply s_nonneg|intros t; apply St].
  apply Rmult_lt_0_compat; lra.
Qed.

(* samples-C in terms of the tangent kernel: on whitened data with one sample that is not 0,
   eta lambda_max(Theta_0/m) < 2 implies that the kernel never grows on any direction, and that
   the loss goes to 0, from any start: no smallness, at any width. *)
Theorem samples_C_kernel (lam : R) : eta * lam < 2 ->
  (forall zeta, ntk U0 v0 zeta <= lam * dot m zeta zeta) ->
  (exists al, (al < m)%nat /\ 0 < dot d (X al) (X al)) ->
  (forall t zeta, ntk (Ut (S t)) (vt (S t)) zeta <= ntk (Ut t) (vt t) zeta) /\ is_lim_seq loss 0.
Proof.
  intros HL L0 [al [Al Pos]]. pose proof n_pos as N. pose proof m_pos as M.
  assert (Split : forall U v zeta,
    ntk U v zeta = s v * dot d (comb m zeta X) (comb m zeta X) / INR m + layer U zeta).
  { intros. unfold ntk, layer. field. split; lra. }
  assert (Lay : forall zeta, layer U0 zeta <= lam * dot m zeta zeta).
  { intros zeta. apply Rle_trans with (2 := L0 zeta). rewrite Split.
    assert (0 <= s v0 * dot d (comb m zeta X) (comb m zeta X) / INR m); [|lra].
    apply Rdiv_le_0_compat; [|exact M]. apply Rmult_le_pos; [apply s_nonneg|apply dot_nonneg]. }
  assert (Top : s v0 * c <= lam).
  { (* at zeta = X x_alpha, an eigenvector of X X^T/m with eigenvalue c *)
    set (zeta := fun be => dot d (X be) (X al)).
    assert (Zz : forall i, (i < d)%nat -> comb m zeta X i = INR m * c * X al i).
    { intros i Hi. transitivity (INR m * mean m (fun be => dot d (X be) (X al) * X be i)).
      - unfold comb, mean, zeta. field; lra.
      - rewrite (whitened al i Al Hi). ring. }
    assert (Z1 : dot d (comb m zeta X) (comb m zeta X) = INR m * c * dot m zeta zeta).
    { rewrite dot_comb_l. unfold dot at 2. rewrite <- total_scal. apply total_ext; intros be _.
      rewrite (dot_ext d (X be) _ (X be) (scal (INR m * c) (X al)))
        by (intros; first [apply Zz; assumption|reflexivity]).
      autorewrite with bilinear. unfold zeta. ring. }
    assert (Zp : 0 < dot m zeta zeta).
    { pose proof (dot_nonneg m zeta) as [P|P]; [exact P|exfalso].
      assert (Y : dot d (comb m zeta X) (X al) = INR m * c * dot d (X al) (X al)).
      { rewrite (dot_ext d _ _ (scal (INR m * c) (X al)) (X al))
          by (intros; first [apply Zz; assumption|reflexivity]).
        autorewrite with bilinear. reflexivity. }
      pose proof (cauchy_schwarz d (comb m zeta X) (X al)) as CS.
      rewrite Z1, <- P, Y in CS.
      assert (0 < INR m * c * dot d (X al) (X al)) by (repeat apply Rmult_lt_0_compat; assumption).
      nra. }
    assert (La : 0 <= layer U0 zeta).
    { unfold layer. apply Rdiv_le_0_compat; [|exact M].
      apply Rdiv_le_0_compat; [apply dot_nonneg|exact N]. }
    pose proof (L0 zeta) as H. rewrite Split, Z1 in H.
    replace (s v0 * (INR m * c * dot m zeta zeta) / INR m) with (s v0 * c * dot m zeta zeta) in H
      by (field; lra).
    apply Rmult_le_reg_r with (dot m zeta zeta); [exact Zp|lra]. }
  assert (HS : eta * (s v0 * c) <= 2).
  { apply Rle_trans with (eta * lam); [apply Rmult_le_compat_l; lra|lra]. }
  destruct (samples_C lam HS HL Lay) as [Mono [_ Lim]]. split; [|exact Lim].
  intros t zeta. rewrite !Split. destruct (Mono t) as [A B]. specialize (B zeta).
  assert (s (vt (S t)) * dot d (comb m zeta X) (comb m zeta X) / INR m
          <= s (vt t) * dot d (comb m zeta X) (comb m zeta X) / INR m); [|lra].
  unfold Rdiv. apply Rmult_le_compat_r; [left; apply Rinv_0_lt_compat, M|].
  apply Rmult_le_compat_r; [apply dot_nonneg|exact A].
Qed.

(* --- divergence on whitened data --- *)

(* The dimensionless loss and weights. *)
Definition energy t := eta^2 * c * E (Ut t) (vt t) / INR n.
Definition size t := eta * (c * s (vt t) + trCG (Ut t)).

Lemma Z_norm_whitened U v : dot d (Z U v) (Z U v) = c * E U v /\
  mean m (fun al => dot d (X al) (Z U v) * dot d (X al) (Z U v)) = c^2 * E U v.
Proof.
  split.
  - rewrite Z_norm. unfold E. rewrite <- mean_scal. apply mean_ext. intros al Al.
    rewrite (sample_Z U v al Al). ring.
  - unfold E. rewrite <- mean_scal. apply mean_ext. intros al Al. rewrite (sample_Z U v al Al). ring.
Qed.

(* f' = f (1 + eta^2 c E/n - eta c s) - (eta/n) <UZ, U x> *)
Lemma next_out U v al : (al < m)%nat -> out (next_U U v) (next_v U v) al =
  out U v al * (1 + eta^2 * c * E U v / INR n - eta * c * s v)
  - eta * (dot n (hidden U (Z U v)) (hidden U (X al)) / INR n).
Proof.
  intros Al. unfold out at 1.
  rewrite (dot_ext n _ _ (next_v U v) _ (fun i _ => eq_refl) (fun i _ => next_hidden U v (X al) i)).
  rewrite (sample_Z U v al Al). unfold next_v. autorewrite with bilinear.
  rewrite (dot_sym n (hidden U (Z U v)) v), v_hidden_Z. unfold s.
  replace (dot n v (hidden U (X al))) with (sqrt (INR n) * out U v al)
    by (unfold out; pose proof (root_pos n wide); field; lra).
  by_root wide. field; lra.
Qed.

(* mean f_alpha <UZ, U x_alpha> = |UZ|^2 *)
Lemma mean_hidden U v :
  mean m (fun al => out U v al * dot n (hidden U (Z U v)) (hidden U (X al)))
  = dot n (hidden U (Z U v)) (hidden U (Z U v)).
Proof.
  symmetry. rewrite (dot_ext n _ (hidden U (Z U v)) (hidden U (Z U v)) _
    (fun i _ => eq_refl) (fun i _ => hidden_of_Z U v i)).
  rewrite dot_comb_r. unfold mean. pose proof m_pos as M.
  transitivity (/ INR m * total m (fun al => out U v al * dot n (hidden U (Z U v)) (hidden U (X al))));
    [|unfold Rdiv; ring].
  rewrite <- total_scal. apply total_ext; intros al _. unfold Rdiv. ring.
Qed.

Lemma energy_step t : let r := 1 + energy t - eta * c * s (vt t) in
  0 <= r -> energy t * (r * (r - 2 * (eta * trCG (Ut t)))) <= energy (S t).
Proof.
  intros r R0. set (U := Ut t) in *. set (v := vt t) in *.
  assert (F : forall al, (al < m)%nat -> out (next_U U v) (next_v U v) al =
    out U v al * r - eta * (dot n (hidden U (Z U v)) (hidden U (X al)) / INR n))
    by (intros al Al; exact (next_out U v al Al)).
  set (q := fun al => dot n (hidden U (Z U v)) (hidden U (X al))).
  set (Q := dot n (hidden U (Z U v)) (hidden U (Z U v))).
  pose proof n_pos as N. pose proof (E_nonneg U v) as E0.
  assert (Low : r^2 * E U v - 2 * r * eta * (Q / INR n) <= E (Ut (S t)) (vt (S t))).
  { rewrite Ut_step, vt_step. fold U v. unfold E at 2.
    rewrite (mean_ext m _ (fun al => r^2 * (out U v al * out U v al)
      + (- (2 * r * eta / INR n) * (out U v al * q al) + (eta / INR n)^2 * (q al * q al))))
      by (intros al Al; rewrite (F al Al); unfold q; field; lra).
    rewrite !mean_plus, !mean_scal. fold (E U v).
    unfold q at 1. rewrite mean_hidden. fold Q.
    assert (0 <= (eta / INR n)^2 * mean m (fun al => q al * q al)).
    { apply Rmult_le_pos; [apply pow2_ge_0|].
      apply mean_nonneg; [exact some_data|intros; apply Rle_0_sqr]. }
    replace (2 * r * eta * (Q / INR n)) with (2 * r * eta / INR n * Q) by (field; lra). lra. }
  pose proof (hidden_Z_bound U v) as H. fold Q in H.
  assert (P : 0 <= 2 * r * eta) by (apply Rmult_le_pos; lra).
  apply Rmult_le_compat_l with (1 := P) in H.
  assert (K : 0 <= eta^2 * c / INR n).
  { apply Rdiv_le_0_compat; [apply Rmult_le_pos; [apply pow2_ge_0|lra]|exact N]. }
  assert (G : eta^2 * c / INR n * (E U v * (r * (r - 2 * (eta * trCG U))))
              <= eta^2 * c / INR n * E (Ut (S t)) (vt (S t)))
    by (apply Rmult_le_compat_l; [exact K|lra]).
  unfold energy. fold U v.
  replace (eta^2 * c * E U v / INR n * (r * (r - 2 * (eta * trCG U))))
    with (eta^2 * c / INR n * (E U v * (r * (r - 2 * (eta * trCG U))))) by (field; lra).
  replace (eta^2 * c * E (Ut (S t)) (vt (S t)) / INR n)
    with (eta^2 * c / INR n * E (Ut (S t)) (vt (S t))) by (field; lra).
  exact G.
Qed.

Lemma size_step t : size (S t) <= size t - energy t * (4 - size t).
Proof.
  unfold size. pose proof (s_step t) as A. rewrite Ut_step, next_trCG.
  destruct (Z_norm_whitened (Ut t) (vt t)) as [Z1 Z2]. rewrite Z1, Z2. unfold energy.
  assert (K : 0 <= eta * c) by (apply Rmult_le_pos; lra).
  apply Rmult_le_compat_l with (1 := K) in A. pose proof n_pos as N.
  replace (eta^2 * c * E (Ut t) (vt t) / INR n * (4 - eta * (c * s (vt t) + trCG (Ut t))))
    with (eta * c * (eta / INR n * E (Ut t) (vt t) * (2 - eta * trCG (Ut t)))
      + eta * (eta / INR n * (2 * (c * E (Ut t) (vt t)) - eta * s (vt t) * (c^2 * E (Ut t) (vt t)))))
    by (field; lra).
  lra.
Qed.

(* samples-D, whitened data: once the dimensionless loss is at least 1 and four times the size of
   the weights, it at least doubles at every step: the loss goes to infinity. *)
Theorem samples_D : 1 <= energy O -> 4 * size O <= energy O ->
  (forall t, 2^t <= energy t) /\ is_lim_seq loss p_infty.
Proof.
  intros E1 N1. pose proof n_pos as N.
  assert (I : forall t, 2^t <= energy t /\ 4 * size t <= energy t).
  { induction t as [|t [A B]]; [simpl; split; lra|].
    assert (P1 : 1 <= 2^t) by (apply pow_R1_Rle; lra).
    set (e := energy t) in *. assert (e1 : 1 <= e) by lra.
    assert (S0 : 0 <= eta * c * s (vt t))
      by (apply Rmult_le_pos; [apply Rmult_le_pos; lra|apply s_nonneg]).
    assert (T0 : 0 <= eta * trCG (Ut t)) by (apply Rmult_le_pos; [lra|apply trCG_nonneg]).
    assert (Sz : size t = eta * c * s (vt t) + eta * trCG (Ut t)) by (unfold size; ring).
    set (x := eta * c * s (vt t)) in *. set (y := eta * trCG (Ut t)) in *.
    pose proof (energy_step t) as G. cbv zeta in G. fold e x y in G.
    specialize (G ltac:(lra)).
    assert (R1 : 1 + 3/4 * e <= 1 + e - x) by lra.
    assert (R2 : 1 + e/2 <= 1 + e - x - 2 * y) by lra.
    assert (R3 : (1 + 3/4 * e) * (1 + e/2) <= (1 + e - x) * (1 + e - x - 2 * y))
      by (apply Rmult_le_compat; lra).
    assert (Up : e * (1 + e) <= energy (S t)).
    { apply Rle_trans with (2 := G). apply Rmult_le_compat_l; [lra|]. nra. }
    pose proof (size_step t) as Sn. fold e in Sn.
    assert (e * size t <= e * (e/4)) by (apply Rmult_le_compat_l; lra).
    assert (e * 1 <= e * e) by (apply Rmult_le_compat_l; lra).
    simpl pow. split; lra. }
  split; [intros t; apply I|].
  set (K := INR n / (2 * (eta^2 * c))).
  assert (K0 : 0 < K).
  { apply Rdiv_lt_0_compat; [exact N|]. repeat apply Rmult_lt_0_compat; lra. }
  apply is_lim_seq_le_p_loc with (fun t => K * 2^t).
  - exists O. intros t _. replace (loss t) with (K * energy t)
      by (unfold K, energy, loss, Loss; field; split; lra).
    apply Rmult_le_compat_l; [lra|apply I].
  - replace p_infty with (Rbar_mult (Finite K) p_infty).
    + apply is_lim_seq_scal_l, is_lim_seq_geom_p. lra.
    + apply is_Rbar_mult_unique. apply is_Rbar_mult_sym, is_Rbar_mult_p_infty_pos. exact K0.
Qed.
End Network.
