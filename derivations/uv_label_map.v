(* The uv-model with a label in its dimensionless numbers a = eta lam, p = eta (f - y)/sqrt n,
   with k = eta y/sqrt n:  a' = a - 4p(p + k) + p^2 a,  p' = p(1 - a + p(p + k)).
   The domain is |2q| <= a, q = p + k. Statements: factor, escape, trap_y. *)
From Coq Require Import Reals Lra Lia Psatz.
Open Scope R_scope.

Definition next_a (k a p : R) := a - 4 * p * (p + k) + p^2 * a.
Definition next_p (k a p : R) := p * (1 - a + p * (p + k)).

(* The two coordinates a + 2q = eta |u + v|^2/n and a - 2q = eta |u - v|^2/n. *)
Definition plus (k a p : R) := a + 2 * (p + k).
Definition minus (k a p : R) := a - 2 * (p + k).

Definition orbit (k : R) (a p : nat -> R) :=
  (0 <= plus k (a O) (p O) /\ 0 <= minus k (a O) (p O)) /\
  forall t, a (S t) = next_a k (a t) (p t) /\ p (S t) = next_p k (a t) (p t).

(* factor: the modes decouple, and the domain is invariant. *)
Theorem factor k a p :
  plus k (next_a k a p) (next_p k a p) = plus k a p * (1 - p)^2 /\
  minus k (next_a k a p) (next_p k a p) = minus k a p * (1 + p)^2.
Proof. unfold plus, minus, next_a, next_p; split; ring. Qed.

(* Above 4 + 4k the curvature loses at most k in a step ... *)
Lemma loses_little k a p : 0 < k -> 4 + 4 * k <= a -> a - k <= next_a k a p.
Proof.
  intros; unfold next_a.
  assert (0 <= (a - 4 - 4 * k) * p^2) by (apply Rmult_le_pos; [lra|apply pow2_ge_0]).
  assert (0 <= k * (2 * p - 1)^2) by (apply Rmult_le_pos; [lra|apply pow2_ge_0]). nra.
Qed.

(* ... and has it back after the next. *)
Lemma recovers k a p : 0 < k -> 4 + 4 * k <= a -> next_a k a p < a ->
  a <= next_a k (next_a k a p) (next_p k a p).
Proof.
  intros K A L. pose proof (loses_little k a p K A) as E1.
  assert (F : next_a k a p = a + p * (p * (a - 4) - 4 * k)) by (unfold next_a; ring).
  assert (P0 : 0 < p).
  { destruct (Rlt_dec 0 p); [assumption|exfalso].
    assert (0 <= (- p) * (- (p * (a - 4)) + 4 * k)) by (apply Rmult_le_pos; nra). lra. }
  assert (Pk : p * (a - 4) < 4 * k)
    by (destruct (Rlt_dec (p * (a - 4)) (4 * k)); [assumption|exfalso; nra]).
  assert (P1 : p < 1) by nra.
  assert (Pq : p * (p + k) <= a - 2) by nra.
  assert (G : next_p k a p <= - p) by (unfold next_p; nra).
  set (x := next_a k a p) in *. set (z := next_p k a p) in *.
  assert (Z : next_a k x z = x + z^2 * (x - 4) + 4 * k * (- z)) by (unfold next_a; ring).
  rewrite Z.
  assert (0 <= z^2 * (x - 4)) by (apply Rmult_le_pos; [apply pow2_ge_0|lra]).
  assert (k * p <= k * (- z)) by (apply Rmult_le_compat_l; lra).
  assert (0 <= p * (p * (a - 4))) by (apply Rmult_le_pos; [lra|apply Rmult_le_pos; lra]). nra.
Qed.

Section Orbit.
Variables (k : R) (a p : nat -> R).
Hypothesis step : forall t, a (S t) = next_a k (a t) (p t) /\ p (S t) = next_p k (a t) (p t).

Lemma step_a t : a (S t) = next_a k (a t) (p t). Proof. apply step. Qed.
Lemma step_p t : p (S t) = next_p k (a t) (p t). Proof. apply step. Qed.

(* escape: from a_0 >= 4 + 4k the curvature stays above 4 + 3k for ever. *)
Theorem escape : 0 < k -> 4 + 4 * k <= a O -> forall t, 4 + 3 * k <= a t.
Proof.
  intros K A.
  assert (I : forall t, 4 + 4 * k <= a t \/ (4 + 3 * k <= a t /\ 4 + 4 * k <= a (S t))).
  { induction t as [|t [I|[I J]]]; [left; exact A| |left; exact J].
    destruct (Rle_dec (a t) (a (S t))) as [H|H]; [left; lra|right]. split.
    - rewrite step_a; pose proof (loses_little k (a t) (p t) K I); lra.
    - rewrite (step_a (S t)), step_a, step_p. rewrite step_a in H.
      pose proof (recovers k (a t) (p t) K I). lra. }
  intros t; destruct (I t) as [H|[H _]]; lra.
Qed.

Lemma step_is_short (e M C : R) (t : nat) : 4 * (e + Rabs k) + e * M <= C ->
  0 <= a t <= M -> Rabs (p t) <= e -> Rabs (a (S t) - a t) <= Rabs (p t) * C.
Proof.
  intros HC A E. pose proof (Rabs_pos (p t)) as P. rewrite step_a; unfold next_a.
  replace (a t - 4 * p t * (p t + k) + p t^2 * a t - a t)
    with (p t * (p t * a t - 4 * (p t + k))) by ring.
  rewrite Rabs_mult. apply Rmult_le_compat_l; [exact P|].
  apply Rle_trans with (Rabs (p t * a t) + Rabs (- (4 * (p t + k)))); [apply Rabs_triang|].
  rewrite Rabs_Ropp, !Rabs_mult, (Rabs_pos_eq 4), (Rabs_pos_eq (a t)) by lra.
  pose proof (Rabs_triang (p t) k).
  assert (Rabs (p t) * a t <= e * M) by (apply Rmult_le_compat; lra). lra.
Qed.

Lemma residual_contracts (m M e r : R) (t : nat) :
  1 - m + e * (e + Rabs k) <= r -> M - 1 + e * Rabs k <= r ->
  m <= a t <= M -> Rabs (p t) <= e -> Rabs (p (S t)) <= Rabs (p t) * r.
Proof.
  intros H1 H2 B E. pose proof (Rabs_pos k) as K. pose proof (Rabs_pos (p t)) as P.
  rewrite step_p; unfold next_p. rewrite Rabs_mult. apply Rmult_le_compat_l; [exact P|].
  assert (Q : Rabs (p t * (p t + k)) <= e * (e + Rabs k)).
  { rewrite Rabs_mult. pose proof (Rabs_triang (p t) k).
    apply Rmult_le_compat; try apply Rabs_pos; lra. }
  apply Rabs_le; split.
  - assert (0 <= p t * p t) by nra.
    assert (- (e * Rabs k) <= p t * k).
    { pose proof (Rle_abs (- (p t * k))) as N; rewrite Rabs_Ropp, Rabs_mult in N.
      assert (Rabs (p t) * Rabs k <= e * Rabs k) by (apply Rmult_le_compat_r; lra). lra. }
    nra.
  - pose proof (Rle_abs (p t * (p t + k))). lra.
Qed.

(* trap_y: finitely many inequalities that trap an orbit in a box, where it converges. *)
Theorem trap_y (m M e r C : R) :
  0 <= m <= M -> 0 <= e -> 0 <= r < 1 ->
  1 - m + e * (e + Rabs k) <= r -> M - 1 + e * Rabs k <= r ->
  4 * (e + Rabs k) + e * M <= C ->
  e * C <= (a O - m) * (1 - r) -> e * C <= (M - a O) * (1 - r) -> Rabs (p O) <= e ->
  forall t, Rabs (p t) <= r^t * e /\ m <= a t <= M.
Proof.
  intros M0 E0 [R0 R1] H1 H2 HC HL HU HP. pose proof (Rabs_pos k) as K.
  assert (C0 : 0 <= C) by (assert (0 <= e * M) by (apply Rmult_le_pos; lra); lra).
  assert (Box : forall t, Rabs (a t - a O) * (1 - r) <= e * C -> m <= a t <= M).
  { intros t H. pose proof (Rle_abs (a t - a O)).
    pose proof (Rle_abs (- (a t - a O))) as N; rewrite Rabs_Ropp in N.
    assert (Rabs (a t - a O) <= M - a O) by (apply Rmult_le_reg_r with (1 - r); lra).
    assert (Rabs (a t - a O) <= a O - m) by (apply Rmult_le_reg_r with (1 - r); lra).
    split; lra. }
  assert (Small : forall t, 0 <= e * C * r^t).
  { intros t. pose proof (pow_le r t R0).
    assert (0 <= e * C) by (apply Rmult_le_pos; lra). apply Rmult_le_pos; lra. }
  assert (I : forall t, Rabs (p t) <= r^t * e /\ Rabs (a t - a O) * (1 - r) <= e * C * (1 - r^t)).
  { induction t as [|t [I1 I2]].
    - simpl. rewrite Rminus_diag_eq, Rabs_R0 by ring. split; lra.
    - pose proof (pow_le r t R0) as Q. pose proof (Small t) as Z.
      assert (Q1 : r^t <= 1) by (rewrite <- (pow1 t); apply pow_incr; lra).
      assert (Pe : Rabs (p t) <= e)
        by (assert (r^t * e <= 1 * e) by (apply Rmult_le_compat_r; lra); lra).
      assert (B : m <= a t <= M) by (apply Box; lra).
      pose proof (residual_contracts m M e r t H1 H2 B Pe) as P.
      pose proof (step_is_short e M C t HC ltac:(lra) Pe) as A.
      assert (T : Rabs (a (S t) - a O) <= Rabs (a (S t) - a t) + Rabs (a t - a O)).
      { replace (a (S t) - a O) with ((a (S t) - a t) + (a t - a O)) by ring.
        apply Rabs_triang. }
      assert (Rabs (p t) * C <= r^t * e * C) by (apply Rmult_le_compat_r; lra).
      assert (Rabs (p t) * r <= r^t * e * r) by (apply Rmult_le_compat_r; lra).
      assert (Rabs (a (S t) - a O) * (1 - r) <= (r^t * e * C + Rabs (a t - a O)) * (1 - r))
        by (apply Rmult_le_compat_r; lra).
      simpl (r^(S t)). split; lra. }
  intros t; destruct (I t) as [I1 I2]; split; [exact I1|].
  apply Box. pose proof (Small t). lra.
Qed.
End Orbit.
