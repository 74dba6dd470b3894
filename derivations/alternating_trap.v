(* An orbit of the labelled uv-model is trapped near a stable minimum: what is watched is a - g p
   in place of a. Where p alternates in sign its pushes on a cancel to first order, and so they do
   in a - g p, with g near 4k/a. Statement trap_s; with g = 0 it is close to trap_y. *)
From Coq Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Catapult Require Import uv_label_map.
Open Scope R_scope.

(* In a step a - g p changes by p times this. *)
Definition push (k g a p : R) := (g * a - 4 * k) + p * (a - 4 - g * k) - g * p^2.

Lemma push_step k g a p :
  next_a k a p - g * next_p k a p - (a - g * p) = p * push k g a p.
Proof. unfold next_a, next_p, push; ring. Qed.

(* What bounds the push at one a. *)
Definition drift (k g e a : R) := Rabs (g * a - 4 * k) + e * Rabs (a - 4 - g * k) + Rabs g * e^2.

Lemma push_drift k g e a p : Rabs p <= e -> Rabs (push k g a p) <= drift k g e a.
Proof.
  intros E. pose proof (Rabs_pos p) as P. unfold push, drift, Rminus at 1.
  eapply Rle_trans; [apply Rabs_triang|]. rewrite Rabs_Ropp, (Rabs_mult g), <- RPow_abs.
  apply Rplus_le_compat.
  - eapply Rle_trans; [apply Rabs_triang|]. apply Rplus_le_compat_l. rewrite Rabs_mult.
    apply Rmult_le_compat_r; [apply Rabs_pos|exact E].
  - apply Rmult_le_compat_l; [apply Rabs_pos|]. apply pow_incr; lra.
Qed.

(* The size of an affine function is largest at an end of an interval. *)
Lemma affine_between c d l h a : l <= a <= h ->
  exists s, 0 <= s <= 1 /\ Rabs (c * a + d) <= (1 - s) * Rabs (c * l + d) + s * Rabs (c * h + d) /\
    a = (1 - s) * l + s * h.
Proof.
  intros [L H]. destruct (Req_dec l h) as [E|N].
  - exists 0. assert (a = l) by lra. subst a. repeat split; lra.
  - assert (D : 0 < h - l) by lra. exists ((a - l) / (h - l)).
    assert (S0 : 0 <= (a - l) / (h - l)) by (apply Rdiv_le_0_compat; lra).
    assert (S1 : (a - l) / (h - l) <= 1)
      by (apply Rmult_le_reg_r with (h - l); [lra|]; unfold Rdiv; rewrite Rmult_assoc, Rinv_l; lra).
    set (s := (a - l) / (h - l)) in *.
    assert (A : a = (1 - s) * l + s * h) by (unfold s; field; lra).
    repeat split; try assumption.
    replace (c * a + d) with ((1 - s) * (c * l + d) + s * (c * h + d)) by (rewrite A; ring).
    eapply Rle_trans; [apply Rabs_triang|]. rewrite !Rabs_mult, (Rabs_pos_eq s),
      (Rabs_pos_eq (1 - s)); lra.
Qed.

Lemma drift_convex k g e l h a : 0 <= e -> l <= a <= h ->
  drift k g e a <= Rmax (drift k g e l) (drift k g e h).
Proof.
  intros E B. unfold drift. unfold Rminus.
  destruct (affine_between g (- (4 * k)) l h a B) as [s [S [H1 A]]].
  assert (H2 : Rabs (a + - (4) + - (g * k)) <= (1 - s) * Rabs (l + - (4) + - (g * k))
                                              + s * Rabs (h + - (4) + - (g * k))).
  { rewrite A.
    replace ((1 - s) * l + s * h + - (4) + - (g * k))
      with ((1 - s) * (l + - (4) + - (g * k)) + s * (h + - (4) + - (g * k))) by ring.
    eapply Rle_trans; [apply Rabs_triang|]. rewrite !Rabs_mult, (Rabs_pos_eq s),
      (Rabs_pos_eq (1 - s)); lra. }
  apply Rmult_le_compat_l with (r := e) in H2; [|exact E].
  set (u := Rabs (g * l + - (4 * k)) + e * Rabs (l + - (4) + - (g * k)) + Rabs g * e^2).
  set (v := Rabs (g * h + - (4 * k)) + e * Rabs (h + - (4) + - (g * k)) + Rabs g * e^2).
  pose proof (Rmax_l u v) as Mu. pose proof (Rmax_r u v) as Mv.
  apply Rle_trans with ((1 - s) * u + s * v); [unfold u, v; nra|].
  assert ((1 - s) * u <= (1 - s) * Rmax u v) by (apply Rmult_le_compat_l; lra).
  assert (s * v <= s * Rmax u v) by (apply Rmult_le_compat_l; lra). lra.
Qed.

Section Orbit.
Variables (k : R) (a p : nat -> R).
Hypothesis step : forall t, a (S t) = next_a k (a t) (p t) /\ p (S t) = next_p k (a t) (p t).

Lemma watched_moves (g e m M D : R) t : 0 <= e -> drift k g e m <= D -> drift k g e M <= D ->
  m <= a t <= M -> Rabs (p t) <= e ->
  Rabs (a (S t) - g * p (S t) - (a t - g * p t)) <= Rabs (p t) * D.
Proof.
  intros E0 Dm DM B E. destruct (step t) as [Sa Sp]. rewrite Sa, Sp, push_step, Rabs_mult.
  apply Rmult_le_compat_l; [apply Rabs_pos|].
  eapply Rle_trans; [apply push_drift, E|]. eapply Rle_trans; [apply drift_convex; eassumption|].
  apply Rmax_lub; assumption.
Qed.

(* trap_s: finitely many inequalities that trap an orbit, with a - g p in [s, S] at its start. *)
Theorem trap_s (g m M e r D low high : R) :
  0 <= m <= M -> 0 <= e -> 0 <= r < 1 ->
  1 - m + e * (e + Rabs k) <= r -> M - 1 + e * Rabs k <= r ->
  drift k g e m <= D -> drift k g e M <= D ->
  low <= a O - g * p O <= high ->
  e * D <= (low - Rabs g * e - m) * (1 - r) -> e * D <= (M - high - Rabs g * e) * (1 - r) ->
  Rabs (p O) <= e ->
  forall t, Rabs (p t) <= r^t * e /\ m <= a t <= M.
Proof.
  intros M0 E0 [R0 R1] H1 H2 Dm DM HS HL HU HP.
  assert (D0 : 0 <= D).
  { apply Rle_trans with (2 := Dm). unfold drift.
    pose proof (Rabs_pos (g * m - 4 * k)). pose proof (Rabs_pos g).
    assert (0 <= e * Rabs (m - 4 - g * k)) by (apply Rmult_le_pos; [lra|apply Rabs_pos]).
    assert (0 <= Rabs g * e^2) by (apply Rmult_le_pos; [lra|apply pow2_ge_0]). lra. }
  set (z := fun t => a t - g * p t).
  assert (Box : forall t, Rabs (p t) <= e -> Rabs (z t - z O) * (1 - r) <= e * D -> m <= a t <= M).
  { intros t Q H. unfold z in H. set (zt := a t - g * p t) in *. set (z0 := a O - g * p O) in *.
    assert (Tilt : Rabs (g * p t) <= Rabs g * e)
      by (rewrite Rabs_mult; apply Rmult_le_compat_l; [apply Rabs_pos|exact Q]).
    assert (Up : Rabs (zt - z0) <= M - high - Rabs g * e)
      by (apply Rmult_le_reg_r with (1 - r); lra).
    assert (Dn : Rabs (zt - z0) <= low - Rabs g * e - m)
      by (apply Rmult_le_reg_r with (1 - r); lra).
    apply Rabs_le_between in Up. apply Rabs_le_between in Dn. apply Rabs_le_between in Tilt.
    assert (a t = zt + g * p t) by (unfold zt; ring). lra. }
  assert (Small : forall t, 0 <= e * D * r^t).
  { intros t. pose proof (pow_le r t R0).
    assert (0 <= e * D) by (apply Rmult_le_pos; lra). apply Rmult_le_pos; lra. }
  assert (I : forall t, Rabs (p t) <= r^t * e /\ Rabs (z t - z O) * (1 - r) <= e * D * (1 - r^t)).
  { induction t as [|t [I1 I2]].
    - simpl. rewrite Rminus_diag_eq, Rabs_R0 by ring. split; lra.
    - pose proof (pow_le r t R0) as Q. pose proof (Small t) as Z.
      assert (Q1 : r^t <= 1) by (rewrite <- (pow1 t); apply pow_incr; lra).
      assert (Pe : Rabs (p t) <= e)
        by (assert (r^t * e <= 1 * e) by (apply Rmult_le_compat_r; lra); lra).
      assert (B : m <= a t <= M) by (apply Box; [exact Pe|lra]).
      pose proof (residual_contracts k a p step m M e r t H1 H2 B Pe) as P.
      pose proof (watched_moves g e m M D t E0 Dm DM B Pe) as A. fold (z t) (z (S t)) in A.
      assert (T : Rabs (z (S t) - z O) <= Rabs (z (S t) - z t) + Rabs (z t - z O)).
      { replace (z (S t) - z O) with ((z (S t) - z t) + (z t - z O)) by ring.
        apply Rabs_triang. }
      assert (Rabs (p t) * D <= r^t * e * D) by (apply Rmult_le_compat_r; lra).
      assert (Rabs (p t) * r <= r^t * e * r) by (apply Rmult_le_compat_r; lra).
      assert (Rabs (z (S t) - z O) * (1 - r) <= (r^t * e * D + Rabs (z t - z O)) * (1 - r))
        by (apply Rmult_le_compat_r; lra).
      simpl (r^(S t)). split; lra. }
  intros t; destruct (I t) as [I1 I2]; split; [exact I1|].
  pose proof (Small t). apply Box; [|lra].
  assert (r^t <= 1) by (rewrite <- (pow1 t); apply pow_incr; lra).
  assert (r^t * e <= 1 * e) by (apply Rmult_le_compat_r; lra). lra.
Qed.
End Orbit.
