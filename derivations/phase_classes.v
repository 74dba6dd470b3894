(* What the classes of a certified phase map mean: an orbit of the labelled uv-model satisfies the
   hypotheses of a theorem after T steps, and this is where it goes. Statement classes. *)
From Coq Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Catapult Require Import uv_label_map uv_edge alternating_trap cone contracting_box.
Open Scope R_scope.

Lemma later k (a p : nat -> R) T :
  (forall t, a (S t) = next_a k (a t) (p t) /\ p (S t) = next_p k (a t) (p t)) ->
  forall t, a (S t + T)%nat = next_a k (a (t + T)%nat) (p (t + T)%nat) /\
            p (S t + T)%nat = next_p k (a (t + T)%nat) (p (t + T)%nat).
Proof. intros H t. apply (H (t + T)%nat). Qed.

(* A trapped orbit converges to a stable minimum: p -> 0 and a -> l with 0 < l < 2. *)
Lemma trapped k (a p : nat -> R) m M e r :
  (forall t, a (S t) = next_a k (a t) (p t) /\ p (S t) = next_p k (a t) (p t)) ->
  0 <= e -> 0 <= r < 1 -> 1 - m + e * (e + Rabs k) <= r -> M - 1 + e * Rabs k <= r ->
  (forall t, Rabs (p t) <= r^t * e /\ m <= a t <= M) ->
  is_lim_seq p 0 /\ exists l, is_lim_seq a (Finite l) /\ 0 < l < 2.
Proof.
  intros Step E0 R0 H1 H2 I. pose proof (Rabs_pos k) as K.
  assert (Q1 : 0 <= e * Rabs k) by (apply Rmult_le_pos; lra).
  assert (Q2 : 0 <= e * (e + Rabs k)) by (apply Rmult_le_pos; lra).
  split.
  - apply is_lim_seq_abs_0. apply is_lim_seq_le_le with (fun _ => 0) (fun t => r^t * e).
    + intros t; split; [apply Rabs_pos|apply I].
    + apply is_lim_seq_const.
    + replace (Finite 0) with (Finite (0 * e)) by (f_equal; ring).
      apply (is_lim_seq_scal_r _ e (Finite 0)), is_lim_seq_geom. rewrite Rabs_pos_eq; lra.
  - assert (C0 : 0 <= 4 * (e + Rabs k) + e * M).
    { assert (0 <= e * M) by (apply Rmult_le_pos; [lra|destruct (I O); lra]). lra. }
    destruct (shrinking r R0 a (e * (4 * (e + Rabs k) + e * M))) as [l Hl].
    { apply Rmult_le_pos; lra. }
    { intros t. destruct (I t) as [P A].
      assert (r^t <= 1) by (rewrite <- (pow1 t); apply pow_incr; lra).
      assert (0 <= r^t) by (apply pow_le; lra).
      assert (Pe : Rabs (p t) <= e) by nra.
      assert (A0 : 0 <= a t <= M) by lra.
      pose proof (step_is_short k a p Step e M _ t (Rle_refl _) A0 Pe) as S.
      apply Rle_trans with (1 := S).
      assert (Rabs (p t) * (4 * (e + Rabs k) + e * M) <= r^t * e * (4 * (e + Rabs k) + e * M))
        by (apply Rmult_le_compat_r; lra). lra. }
    exists l. split; [exact Hl|].
    assert (m <= l <= M); [|lra]. split.
    + apply (is_lim_seq_le (fun _ => m) a m l); [intros t; apply I|apply is_lim_seq_const|exact Hl].
    + apply (is_lim_seq_le a (fun _ => M) l M); [intros t; apply I|exact Hl|apply is_lim_seq_const].
Qed.

Lemma of_later (u : nat -> R) T l : is_lim_seq (fun t => u (t + T)%nat) l -> is_lim_seq u l.
Proof. intros H. apply (is_lim_seq_incr_n u T l). exact H. Qed.

(* converges, by trap_y or by trap_s after T steps: the residual vanishes at a curvature that
   ends strictly between 0 and 2. *)
Theorem class_converges k (a p : nat -> R) T m M e r C g D low high :
  (forall t, a (S t) = next_a k (a t) (p t) /\ p (S t) = next_p k (a t) (p t)) ->
  0 <= m <= M -> 0 <= e -> 0 <= r < 1 ->
  1 - m + e * (e + Rabs k) <= r -> M - 1 + e * Rabs k <= r -> Rabs (p T) <= e ->
  (4 * (e + Rabs k) + e * M <= C /\ e * C <= (a T - m) * (1 - r) /\ e * C <= (M - a T) * (1 - r)) \/
  (drift k g e m <= D /\ drift k g e M <= D /\ low <= a T - g * p T <= high /\
    e * D <= (low - Rabs g * e - m) * (1 - r) /\ e * D <= (M - high - Rabs g * e) * (1 - r)) ->
  is_lim_seq p 0 /\ exists l, is_lim_seq a (Finite l) /\ 0 < l < 2.
Proof.
  intros Step M0 E0 R0 H1 H2 HP H. pose proof (later k a p T Step) as Late.
  set (a' := fun t => a (t + T)%nat). set (p' := fun t => p (t + T)%nat).
  assert (I : forall t, Rabs (p' t) <= r^t * e /\ m <= a' t <= M).
  { destruct H as [[HC [HL HU]]|[Dm [DM [HS [HL HU]]]]].
    - apply (trap_y k a' p' Late m M e r C); assumption.
    - apply (trap_s k a' p' Late g m M e r D low high); assumption. }
  destruct (trapped k a' p' m M e r Late E0 R0 H1 H2 I) as [P [l [A L]]].
  split; [apply (of_later p T), P|]. exists l. split; [apply (of_later a T), A|exact L].
Qed.

(* no stable minimum, by edge or by escape after T steps: the orbit does not go to a minimum with
   a curvature of at most 2 ... *)
Theorem class_no_minimum k (a p : nat -> R) T : 0 <= k ->
  (forall t, a (S t) = next_a k (a t) (p t) /\ p (S t) = next_p k (a t) (p t)) ->
  (k < 2 /\ orbit k (fun t => a (t + T)%nat) (fun t => p (t + T)%nat) /\ 0 < side k (a T) (p T)) \/
  (0 < k /\ 4 + 4 * k <= a T) ->
  ~ (is_lim_seq p 0 /\ exists l, is_lim_seq a (Finite l) /\ l <= 2).
Proof.
  intros K Step H [P [l [A L]]].
  apply (is_lim_seq_incr_n p T) in P. apply (is_lim_seq_incr_n a T) in A.
  set (a' := fun t => a (t + T)%nat) in *. set (p' := fun t => p (t + T)%nat) in *.
  assert (4 <= l); [|lra]. destruct H as [[K2 [Run W]]|[K0 E]].
  - assert (Pos : forall t, 0 < side k (a' t) (p' t)).
    { intros t. apply (w_pos k a' p' (conj K K2) Run W t). }
    apply (is_lim_seq_le (fun t => 4 + k * p' t) a' 4 l); [|clear - P|exact A].
    + intros t. specialize (Pos t). unfold side in Pos. lra.
    + replace (Finite 4) with (Finite (4 + k * 0)) by (f_equal; ring).
      apply is_lim_seq_plus'; [apply is_lim_seq_const|]. apply (is_lim_seq_scal_l _ k (Finite 0) P).
  - pose proof (escape k a' p' (later k a p T Step) K0 E) as Up.
    apply (is_lim_seq_le (fun _ => 4) a' 4 l); [|apply is_lim_seq_const|exact A].
    intros t. specialize (Up t). lra.
Qed.

(* diverges, by cone after T steps: curvature and residual go to infinity. *)
Theorem class_diverges k (a p : nat -> R) T : 0 <= k -> orbit k a p -> in_cone k (a T) (p T) ->
  is_lim_seq a p_infty /\ is_lim_seq (fun t => Rabs (p t)) p_infty.
Proof.
  intros K Run C. pose proof Run as [_ Step].
  assert (Late : orbit k (fun t => a (t + T)%nat) (fun t => p (t + T)%nat)).
  { split; [apply (domain_kept k a p T Run)|apply (later k a p T Step)]. }
  destruct (cone k _ _ K Late C) as [_ [P A]].
  split; [apply (of_later a T), A|apply (of_later (fun t => Rabs (p t)) T), P].
Qed.
