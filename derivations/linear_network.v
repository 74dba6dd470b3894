(* Training the two-layer linear network of linear_step.v by gradient descent. Statements
   samples-A and samples-B: conditions on the start under which it converges.

   Nothing is rotated or reduced: c bounds the covariance C = X^T X/m of the data from above,
   z^T C z <= c |z|^2, which is what lambda_max(C) <= c means. *)
From Coq Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Catapult Require Import vectors combinations linear_step.
Open Scope R_scope.

Section Training.
Variables (n d m : nat) (X : nat -> vec) (eta : R).
Hypothesis wide : (0 < n)%nat.
Hypothesis some_data : (0 < m)%nat.

(* The network of linear_step.v, with its sizes, data and learning rate. *)
Local Notation hidden := (hidden d).
Local Notation out := (out n d X).
Local Notation E := (E n d m X).
Local Notation Loss := (Loss n d m X).
Local Notation Z := (Z n d m X).
Local Notation next_v := (next_v n d m X eta).
Local Notation next_U := (next_U n d m X eta).
Local Notation s := (s n).
Local Notation frobenius := (frobenius n d).
Local Notation trCG := (trCG n d m X).
Local Notation m_pos := (m_pos m some_data).
Local Notation n_pos := (n_pos n wide).
Local Notation E_nonneg := (E_nonneg n d m X some_data).
Local Notation next_v_norm := (next_v_norm n d m X eta wide some_data).
Local Notation next_hidden_norm := (next_hidden_norm n d m X eta wide).
Local Notation next_frobenius := (next_frobenius n d m X eta wide some_data).
Local Notation next_s := (next_s n d m X eta wide some_data).
Local Notation next_trCG := (next_trCG n d m X eta wide).
Local Notation hidden_Z_bound := (hidden_Z_bound n d m X wide some_data).
Local Notation hidden_Z_frobenius := (hidden_Z_frobenius n d m X).
Local Notation Z_bound := (Z_bound n d m X some_data).
Local Notation ZCZ_bound := (ZCZ_bound n d m X).

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
End Training.
