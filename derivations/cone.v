(* Far out the labelled uv-model diverges fivefold in every step, whatever the label k >= 0.
   Statement cone. *)
From Coq Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Catapult Require Import uv_label_map.
Open Scope R_scope.

Definition in_cone (k a p : R) := 4 + 2 * k <= Rabs p /\ 4 * a <= p^2.

(* With u = |p| the step gives |p'| >= u (1 + u) >= 5 u, and 4 a' <= u^2 (1 + u)^2. *)
Lemma cone_step k a p : 0 <= k -> 0 <= a -> in_cone k a p ->
  Rabs p * (1 + Rabs p) <= Rabs (next_p k a p) /\ in_cone k (next_a k a p) (next_p k a p).
Proof.
  intros K A [U B]. set (u := Rabs p) in *.
  assert (U2 : p^2 = u^2) by (unfold u; symmetry; apply pow2_abs).
  assert (KP : - (k * u) <= k * p).
  { assert (- u <= p) by (pose proof (Rle_abs (- p)) as N; rewrite Rabs_Ropp in N; unfold u; lra).
    assert (k * (- u) <= k * p) by (apply Rmult_le_compat_l; lra). lra. }
  assert (L : 1 + u <= 1 - a + p * (p + k)).
  { assert (0 <= u * (3/4 * u - k - 1)) by (apply Rmult_le_pos; lra). nra. }
  assert (N : u * (1 + u) <= Rabs (next_p k a p)).
  { unfold next_p. rewrite Rabs_mult. fold u. apply Rmult_le_compat_l; [lra|].
    apply Rle_trans with (1 := L). apply Rle_abs. }
  assert (V : 0 <= u * (1 + u)) by (apply Rmult_le_pos; lra).
  repeat split; [exact N|apply Rle_trans with (2 := N); nra|].
  rewrite <- (pow2_abs (next_p k a p)). set (w := Rabs (next_p k a p)) in *.
  assert (W : (u * (1 + u))^2 <= w^2) by (apply pow_incr; lra).
  apply Rle_trans with (2 := W). unfold next_a.
  assert (a * (4 * (1 + u^2)) <= u^2 / 4 * (4 * (1 + u^2))).
  { apply Rmult_le_compat_r; [|lra]. pose proof (pow2_ge_0 u). lra. }
  assert (0 <= u * (2 * u^2 - 16 * k)).
  { apply Rmult_le_pos; [lra|].
    assert ((4 + 2 * k) * (4 + 2 * k) <= u * u) by (apply Rmult_le_compat; lra).
    assert (0 <= k * k) by (apply Rmult_le_pos; lra). nra. }
  pose proof (pow2_ge_0 u). replace (p * (p + k)) with (p^2 + k * p) by ring. rewrite U2. nra.
Qed.

Lemma domain_nonneg k a p : 0 <= plus k a p -> 0 <= minus k a p -> 0 <= a.
Proof. unfold plus, minus; lra. Qed.

Lemma domain_kept k a p t : orbit k a p -> 0 <= plus k (a t) (p t) /\ 0 <= minus k (a t) (p t).
Proof.
  intros [D Step]. induction t as [|t [X Y]]; [exact D|].
  destruct (Step t) as [Sa Sp]. rewrite Sa, Sp. destruct (factor k (a t) (p t)) as [F G].
  rewrite F, G. split; (apply Rmult_le_pos; [assumption|apply pow2_ge_0]).
Qed.

(* cone: |p| >= 4 + 2k and p^2 >= 4a are kept for ever, |p| grows fivefold in every step, and both
   the residual and the curvature go to infinity. *)
Theorem cone k a p : 0 <= k -> orbit k a p -> in_cone k (a O) (p O) ->
  (forall t, in_cone k (a t) (p t) /\ 5^t * Rabs (p O) <= Rabs (p t)) /\
  is_lim_seq (fun t => Rabs (p t)) p_infty /\ is_lim_seq a p_infty.
Proof.
  intros K Run C. pose proof Run as [_ Step].
  assert (I : forall t, in_cone k (a t) (p t) /\ 5^t * Rabs (p O) <= Rabs (p t)).
  { induction t as [|t [C1 G]]; [split; [exact C|simpl; lra]|].
    destruct (domain_kept k a p t Run) as [X Y].
    destruct (cone_step k (a t) (p t) K (domain_nonneg _ _ _ X Y) C1) as [N C2].
    destruct (Step t) as [Sa Sp]. rewrite Sa, Sp. split; [exact C2|].
    apply Rle_trans with (2 := N). destruct C1 as [U _]. simpl. nra. }
  assert (P0 : 0 < Rabs (p O)) by (destruct C; lra).
  assert (Grows : is_lim_seq (fun t => Rabs (p t)) p_infty).
  { apply is_lim_seq_le_p_loc with (fun t => Rabs (p O) * 5^t).
    - exists O. intros t _. rewrite Rmult_comm. apply I.
    - replace p_infty with (Rbar_mult (Finite (Rabs (p O))) p_infty).
      + apply is_lim_seq_scal_l, is_lim_seq_geom_p. lra.
      + apply is_Rbar_mult_unique. apply is_Rbar_mult_sym, is_Rbar_mult_p_infty_pos. exact P0. }
  split; [exact I|split; [exact Grows|]].
  (* a >= 2 |q| >= 2 |p| - 2 k >= |p| *)
  apply is_lim_seq_le_p_loc with (2 := Grows). exists O. intros t _.
  destruct (domain_kept k a p t Run) as [X Y]. unfold plus, minus in *.
  destruct (I t) as [[U _] _].
  assert (2 * Rabs (p t) - 2 * k <= a t); [|lra].
  destruct (Rle_dec 0 (p t)) as [H|H].
  - rewrite Rabs_pos_eq by exact H. lra.
  - rewrite Rabs_left by lra. lra.
Qed.
