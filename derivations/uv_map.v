(* The uv-model without a label in its two dimensionless numbers a = eta lam, b = eta^2 f^2/n:
   a' = a + b(a - 4),  b' = b(1 - a + b)^2  on  0 <= 4b <= a^2.  Statements T2 to T7 and trap. *)
From Coq Require Import Reals Lra Lia Psatz Classical.
From Coquelicot Require Import Coquelicot.
Open Scope R_scope.

Definition next_a (a b : R) := a + b * (a - 4).
Definition next_b (a b : R) := b * (1 - a + b)^2.

(* Every state of a network lies in this domain (Cauchy-Schwarz). *)
Definition domain (a b : R) := 0 <= a /\ 0 <= b /\ 4 * b <= a^2.

(* A sequence of states, each the step of the one before, from a state of a network. *)
Definition orbit (a b : nat -> R) :=
  domain (a O) (b O) /\
  forall t, a (S t) = next_a (a t) (b t) /\ b (S t) = next_b (a t) (b t).

Lemma next_a_nonneg a b : domain a b -> 0 <= next_a a b.
Proof.
  intros (A & B & H); unfold next_a.
  destruct (Rle_dec 0 (a + b * (a - 4))) as [?|N]; [assumption|exfalso].
  assert (H1 : a * (1 + b) < 4 * b) by lra.
  assert (H2 : (a * (1 + b))^2 < (4 * b)^2).
  { apply Rlt_le_trans with (a * (1 + b) * (4 * b)); [|nra].
    destruct (Req_dec a 0) as [E|E]; [subst; nra|].
    assert (0 < a * (1 + b)) by (apply Rmult_lt_0_compat; lra). nra. }
  assert (H3 : 4 * b * (1 + b)^2 <= a^2 * (1 + b)^2)
    by (apply Rmult_le_compat_r; [apply pow2_ge_0|lra]).
  assert (H4 : 0 <= b * (1 - b)^2) by (apply Rmult_le_pos; [lra|apply pow2_ge_0]).
  nra.
Qed.

(* T2: the domain is invariant, since a'^2 - 4b' = (a^2 - 4b)(1 - b)^2. *)
Theorem T2 a b :
  (next_a a b)^2 - 4 * next_b a b = (a^2 - 4 * b) * (1 - b)^2 /\
  (domain a b -> domain (next_a a b) (next_b a b)).
Proof.
  assert (I : (next_a a b)^2 - 4 * next_b a b = (a^2 - 4 * b) * (1 - b)^2)
    by (unfold next_a, next_b; ring).
  split; [exact I|]. intros D. pose proof (next_a_nonneg a b D) as N. destruct D as (A & B & H).
  repeat split; [exact N| |].
  - unfold next_b; apply Rmult_le_pos; [lra|apply pow2_ge_0].
  - assert (0 <= (a^2 - 4 * b) * (1 - b)^2) by (apply Rmult_le_pos; [lra|apply pow2_ge_0]). lra.
Qed.

Section Orbit.
Variables (a b : nat -> R).
Hypothesis run : orbit a b.

Lemma step_a t : a (S t) = next_a (a t) (b t). Proof. apply run. Qed.
Lemma step_b t : b (S t) = next_b (a t) (b t). Proof. apply run. Qed.

Lemma in_domain t : domain (a t) (b t).
Proof. induction t as [|t IH]; [apply run|]. rewrite step_a, step_b. apply T2, IH. Qed.

Lemma a_nonneg t : 0 <= a t. Proof. destruct (in_domain t); lra. Qed.
Lemma b_nonneg t : 0 <= b t. Proof. destruct (in_domain t) as (_ & H & _); exact H. Qed.

(* T3: for a_0 < 4 the curvature never grows and stays in [0, 4). *)
Theorem T3 : a O < 4 -> forall t, 0 <= a (S t) <= a t /\ a t < 4.
Proof.
  intros H t; induction t as [|t [IH1 IH2]].
  - split; [split; [apply a_nonneg|]|exact H]. rewrite step_a; unfold next_a.
    pose proof (b_nonneg O). nra.
  - assert (a (S t) < 4) by lra. split; [split; [apply a_nonneg|]|lra].
    rewrite (step_a (S t)); unfold next_a. pose proof (b_nonneg (S t)). nra.
Qed.

Lemma a_below_start : a O < 4 -> forall t, a t <= a O.
Proof. intros H t; induction t; [lra|]. pose proof (T3 H t). lra. Qed.

(* T4, the sum rule: sum over t <= N of b_t (4 - a_t) = a_0 - a_(N+1). *)
Theorem T4_sum N : sum_f_R0 (fun t => b t * (4 - a t)) N = a O - a (S N).
Proof.
  induction N as [|N IH]; [simpl; rewrite step_a; unfold next_a; ring|].
  rewrite tech5, IH, (step_a (S N)); unfold next_a; ring.
Qed.

(* What bounds the loss by the curvature that is lost, on either side of 4. *)
Lemma b_vanishes (l gap : R) :
  0 < gap -> is_lim_seq a l -> (forall t, gap * b t <= Rabs (a t - a (S t))) -> is_lim_seq b 0.
Proof.
  intros G L H.
  apply is_lim_seq_le_le with (u := fun _ => 0) (w := fun t => / gap * Rabs (a t - a (S t))).
  - intros t; split; [apply b_nonneg|]. apply Rmult_le_reg_l with gap; [exact G|].
    rewrite <- Rmult_assoc, Rinv_r, Rmult_1_l by lra. apply H.
  - apply is_lim_seq_const.
  - replace (Finite 0) with (Rbar_mult (/ gap) (Rbar_abs (Finite (l - l))))
      by (simpl; f_equal; rewrite Rminus_diag_eq, Rabs_R0 by reflexivity; ring).
    apply is_lim_seq_scal_l, is_lim_seq_abs, is_lim_seq_minus'; [exact L|].
    apply -> is_lim_seq_incr_1; exact L.
Qed.

(* T4, its consequence: for a_0 < 4 the curvature has a limit and the loss goes to 0. *)
Theorem T4_limit : a O < 4 ->
  exists l : R, is_lim_seq a l /\ 0 <= l <= a O /\ (forall t, l <= a t) /\ is_lim_seq b 0.
Proof.
  intros H.
  destruct (ex_finite_lim_seq_decr a 0) as [l L].
  { intros t; pose proof (T3 H t); lra. } { apply a_nonneg. }
  assert (B : forall t, l <= a t).
  { intros t. apply (is_lim_seq_decr_compare a l L). intros k; pose proof (T3 H k); lra. }
  assert (P : 0 <= l).
  { exact (is_lim_seq_le (fun _ => 0) a 0 l a_nonneg (is_lim_seq_const 0) L). }
  exists l; split; [exact L|]. split; [split; [exact P|apply B]|]. split; [exact B|].
  apply (b_vanishes l (4 - a O)); [lra|exact L|]. intros t.
  pose proof (a_below_start H t). pose proof (b_nonneg t). rewrite step_a; unfold next_a.
  rewrite Rabs_pos_eq by nra. nra.
Qed.

(* Where the curvature stays above 2 + d, a small loss grows: it cannot tend to 0. *)
Lemma no_decay (d : R) :
  0 < d -> (forall t, 2 + d <= a t) -> (forall t, 0 < b t) -> ~ is_lim_seq b 0.
Proof.
  intros D A P L. apply is_lim_seq_spec in L.
  destruct (L (mkposreal d D)) as [N HN]; simpl in HN.
  assert (G : forall k, b N <= b (N + k)%nat).
  { induction k as [|k IH]; [rewrite Nat.add_0_r; lra|].
    rewrite <- plus_n_Sm, step_b; unfold next_b.
    assert (B : b (N + k)%nat < d).
    { specialize (HN (N + k)%nat ltac:(lia)). rewrite Rminus_0_r in HN.
      apply Rabs_def2 in HN; lra. }
    specialize (A (N + k)%nat). specialize (P (N + k)%nat).
    assert (1 <= (1 - a (N + k)%nat + b (N + k)%nat)^2) by nra. nra. }
  destruct (L (mkposreal _ (P N))) as [N2 H2]; simpl in H2.
  specialize (H2 (N + N2)%nat ltac:(lia)). rewrite Rminus_0_r in H2.
  apply Rabs_def2 in H2. specialize (G N2). lra.
Qed.

(* T5: below 4 the curvature ends at or below 2, unless the loss is exactly 0 at some step. *)
Theorem T5 : a O < 4 -> (forall t, 0 < b t) -> forall l : R, is_lim_seq a l -> l <= 2.
Proof.
  intros H P l L. destruct (T4_limit H) as (l' & L' & _ & B & V).
  assert (E : l = l').
  { apply is_lim_seq_unique in L; apply is_lim_seq_unique in L'. rewrite L in L'. now inversion L'. }
  subst l'. destruct (Rle_dec l 2) as [?|N]; [assumption|exfalso].
  apply (no_decay (l - 2)); [lra| |exact P|exact V]. intros t; specialize (B t); lra.
Qed.

(* T6: above 4 the curvature never falls. *)
Theorem T6_grows : 4 <= a O -> forall t, 4 <= a t <= a (S t).
Proof.
  intros H t; induction t as [|t IH].
  - split; [exact H|]. rewrite step_a; unfold next_a; pose proof (b_nonneg O); nra.
  - split; [lra|]. rewrite (step_a (S t)); unfold next_a; pose proof (b_nonneg (S t)); nra.
Qed.

Lemma a_above_start : 4 <= a O -> forall t, a O <= a t.
Proof. intros H t; induction t; [lra|]. pose proof (T6_grows H t). lra. Qed.

Lemma a_unbounded : 4 < a O -> (forall t, 0 < b t) -> forall M, exists t, M < a t.
Proof.
  intros H P M. apply NNPP. intros N.
  assert (B : forall t, a t <= M)
    by (intros t; destruct (Rle_dec (a t) M); [assumption|exfalso; apply N; exists t; lra]).
  assert (A : forall t, a O <= a t) by (apply a_above_start; lra).
  destruct (ex_finite_lim_seq_incr a M) as [l L]; [|exact B|].
  { intros t; pose proof (T6_grows (Rlt_le _ _ H) t); lra. }
  apply (no_decay 2); [lra|intros t; pose proof (A t); lra|exact P|].
  apply (b_vanishes l (a O - 4)); [lra|exact L|]. intros t.
  pose proof (A t). pose proof (b_nonneg t). rewrite step_a; unfold next_a.
  rewrite Rabs_minus_sym, Rabs_pos_eq by nra. nra.
Qed.

(* T6: above 4 the curvature diverges, unless the loss is exactly 0 at some step. *)
Theorem T6_diverges : 4 < a O -> (forall t, 0 < b t) -> is_lim_seq a p_infty.
Proof.
  intros H P. apply is_lim_seq_spec; intros M.
  destruct (a_unbounded H P M) as [N HN]. exists N; intros t T.
  induction T as [|t T IH]; [exact HN|]. pose proof (T6_grows (Rlt_le _ _ H) t). lra.
Qed.

(* T7: a step lowers the loss if and only if a - 2 < b < a. *)
Theorem T7_step t : 0 < b t -> (b (S t) < b t <-> a t - 2 < b t < a t).
Proof.
  intros P. rewrite step_b; unfold next_b. set (x := b t) in *. set (y := a t).
  assert (F : x * (1 - y + x)^2 - x = x * ((x - y) * (2 - y + x))) by ring.
  split.
  - intros H. assert (G : (x - y) * (2 - y + x) < 0).
    { destruct (Rlt_dec ((x - y) * (2 - y + x)) 0) as [G|G]; [exact G|exfalso].
      assert (0 <= x * ((x - y) * (2 - y + x))) by (apply Rmult_le_pos; lra). lra. }
    destruct (Rlt_dec x y) as [G1|G1]; [|exfalso; nra].
    split; [|exact G1]. destruct (Rlt_dec (y - 2) x) as [G2|G2]; [exact G2|exfalso].
    assert (0 <= (y - x) * (- (2 - y + x))) by (apply Rmult_le_pos; lra). lra.
  - intros [H1 H2]. assert (0 < x * ((y - x) * (2 - y + x)))
      by (repeat apply Rmult_lt_0_compat; lra). lra.
Qed.

(* T7: for a_0 < 2 the loss falls at every step, however large it is. *)
Theorem T7_lazy : a O < 2 -> forall t, 0 < b t -> b (S t) < b t.
Proof.
  intros H t P. apply T7_step; [exact P|].
  pose proof (a_below_start ltac:(lra) t). destruct (in_domain t) as (A & B & C).
  split; [lra|nra].
Qed.

(* trap: from a small loss it contracts geometrically, at a rate given in numbers. *)
Theorem trap (q : R) :
  0 < a O < 2 -> (a O - 1)^2 <= q -> (1 - a O / 4)^4 <= q -> q < 1 -> 8 * b O <= a O * (1 - q) ->
  forall t, b t <= q^t * b O /\ a O / 2 <= a t <= a O.
Proof.
  intros [H0 H2] Q1 Q2 Q3 S t.
  pose proof (a_below_start ltac:(lra)) as U. pose proof (b_nonneg O) as B0.
  assert (Q0 : 0 <= q) by nra.
  assert (I : b t <= q^t * b O /\ (a O - a t) * (1 - q) <= 4 * b O * (1 - q^t)).
  { induction t as [|t [I1 I2]]; [simpl; split; lra|].
    pose proof (pow_le q t Q0) as Q. destruct (in_domain t) as (A & B & C). specialize (U t).
    assert (Low : a O / 2 <= a t).
    { assert (0 <= b O * q^t) by (apply Rmult_le_pos; lra). nra. }
    split.
    - rewrite step_b; unfold next_b.
      assert (M : (1 - a t + b t)^2 <= q).
      { destruct (Rle_dec 0 (1 - a t + b t)) as [P|P].
        - assert (1 - a t + b t <= (1 - a t / 2)^2) by nra.
          assert ((1 - a t / 2)^2 <= (1 - a O / 4)^2) by (apply pow_incr; lra).
          assert ((1 - a t + b t)^2 <= ((1 - a O / 4)^2)^2) by nra.
          replace ((1 - a O / 4)^4) with (((1 - a O / 4)^2)^2) in Q2 by ring. lra.
        - apply Rle_trans with (2 := Q1).
          replace ((1 - a t + b t)^2) with ((- (1 - a t + b t))^2) by ring.
          apply pow_incr; lra. }
      simpl (q^(Datatypes.S t)). nra.
    - rewrite step_a; unfold next_a. simpl (q^(Datatypes.S t)).
      assert (b t * (4 - a t) <= 4 * b t) by nra. nra. }
  destruct I as [I1 I2]. split; [exact I1|]. split; [|apply U].
  pose proof (pow_le q t Q0). assert (0 <= b O * q^t) by (apply Rmult_le_pos; lra). nra.
Qed.
End Orbit.

(* The exceptions of T5 and T6 are real: on b = a - 1 the loss is 0 after one step. *)
Theorem freeze a : 1 <= a ->
  domain a (a - 1) /\ next_b a (a - 1) = 0 /\ next_a a (a - 1) = (a - 2)^2.
Proof.
  intros H. unfold domain, next_a, next_b. repeat split; try lra; try ring.
  assert (0 <= (a - 2)^2) by apply pow2_ge_0. lra.
Qed.

(* T5 has an exception at a = 3.9 (frozen at 3.61), T6 one at a = 5 (frozen at 9). *)
Theorem freeze_examples :
  (domain (39/10) (29/10) /\ next_b (39/10) (29/10) = 0 /\ next_a (39/10) (29/10) = 361/100) /\
  (domain 5 4 /\ next_b 5 4 = 0 /\ next_a 5 4 = 9).
Proof. unfold domain, next_a, next_b. repeat split; lra. Qed.

(* T6, on the edge: a = 4 is invariant, and there b = 4 sin^2 x goes to 4 sin^2 3x. *)
Theorem T6_edge b x :
  next_a 4 b = 4 /\ next_b 4 (4 * (sin x)^2) = 4 * (sin (3 * x))^2.
Proof.
  split; [unfold next_a; ring|].
  replace (3 * x) with (2 * x + x) by ring. rewrite sin_plus, sin_2a, cos_2a.
  assert (H : (cos x)^2 = 1 - (sin x)^2).
  { pose proof (sin2_cos2 x) as K; unfold Rsqr in K. nra. }
  unfold next_b.
  replace (2 * sin x * cos x * cos x + (cos x * cos x - sin x * sin x) * sin x)
    with (sin x * (3 * (cos x)^2 - (sin x)^2)) by ring.
  rewrite H; ring.
Qed.
