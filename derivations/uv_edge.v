(* The upper edge of the uv-model with a label, 0 <= k < 2. The line w = a - 4 - k p = 0 is
   invariant: w' = w(1 + k p + p^2), and on it the map is Chebyshev's. Below it everything stays
   bounded, above it everything diverges. Statements edge and edge-2. The Lyapunov function is
   V = ln |w| - (k/2) ln(a - 2q). *)
From Coq Require Import Reals Lra Lia Psatz Classical.
From Coquelicot Require Import Coquelicot.
From Catapult Require Import uv_label_map.
Open Scope R_scope.

Definition side (k a p : R) := a - 4 - k * p.
Definition growth (k p : R) := 1 + k * p + p^2.

Lemma side_step k a p : side k (next_a k a p) (next_p k a p) = side k a p * growth k p.
Proof. unfold side, growth, next_a, next_p; ring. Qed.

Lemma residual_step k a p : next_p k a p = p * (p^2 - 3 - side k a p).
Proof. unfold side, next_p; ring. Qed.

(* w = 0 is the segment between two sides of the triangle of plus, minus >= 0. *)
Lemma barycentric k a p :
  (2 - k) * plus k a p + (2 + k) * minus k a p = 4 * side k a p + 4 * (4 - k^2).
Proof. unfold plus, minus, side; ring. Qed.

Lemma growth_low k p : 1 - k^2 / 4 <= growth k p.
Proof. unfold growth. assert (0 <= (p + k / 2)^2) by apply pow2_ge_0. nra. Qed.

Lemma growth_pos k p : 0 <= k < 2 -> 0 < growth k p.
Proof. intros; pose proof (growth_low k p); nra. Qed.

Lemma ln_le_minus_one x : 0 < x -> ln x <= x - 1.
Proof. intros H. pose proof (exp_ineq1_le (ln x)) as E. rewrite exp_ln in E by exact H. lra. Qed.

Lemma ln_le x y : 0 < x -> x <= y -> ln x <= ln y.
Proof.
  intros X [H|H]; [left; apply ln_increasing; assumption|right; rewrite H; reflexivity].
Qed.

(* The inequality behind the Lyapunov function: |1 + p|^k <= 1 + k p + (k/2) p^2, with its gain. *)
Lemma lyapunov_gain k p : 0 <= k < 2 -> 1 + p <> 0 ->
  (1 - k/2) * p^2 / growth k p <= ln (growth k p) - k/2 * ln ((1 + p)^2).
Proof.
  intros K N. pose proof (growth_pos k p K) as F.
  assert (E : 0 < (1 + p)^2) by (apply pow2_gt_0; exact N).
  set (e := (1 + p)^2) in *. set (g := growth k p) in *.
  assert (Z : 0 < 1 - k/2 + k/2 * e) by (assert (0 <= k/2 * e) by (apply Rmult_le_pos; lra); lra).
  set (z := 1 - k/2 + k/2 * e) in *.
  assert (GZ : g - z = (1 - k/2) * p^2) by (unfold g, growth, z, e; field).
  assert (A : k/2 * ln e <= ln z). (* weighted means *)
  { pose proof (ln_le_minus_one (/ z) (Rinv_0_lt_compat z Z)) as H1.
    rewrite ln_Rinv in H1 by exact Z.
    assert (EZ : 0 < e * / z)
      by (apply Rmult_lt_0_compat; [exact E|apply Rinv_0_lt_compat; exact Z]).
    pose proof (ln_le_minus_one (e * / z) EZ) as H2.
    rewrite ln_mult, ln_Rinv in H2 by (try assumption; apply Rinv_0_lt_compat; assumption).
    assert (I : (1 - k/2) * / z + k/2 * (e * / z) = 1)
      by (transitivity (z * / z); [unfold z; ring|apply Rinv_r; lra]).
    assert ((1 - k/2) * (- ln z) <= (1 - k/2) * (/ z - 1)) by (apply Rmult_le_compat_l; lra).
    assert (k/2 * (ln e + - ln z) <= k/2 * (e * / z - 1)) by (apply Rmult_le_compat_l; lra).
    lra. }
  assert (B : (g - z) * / g <= ln g - ln z).
  { assert (ZG : 0 < z * / g)
      by (apply Rmult_lt_0_compat; [exact Z|apply Rinv_0_lt_compat; exact F]).
    pose proof (ln_le_minus_one (z * / g) ZG) as H.
    rewrite ln_mult, ln_Rinv in H by (try assumption; apply Rinv_0_lt_compat; assumption).
    assert ((g - z) * / g = 1 - z * / g) by (rewrite Rmult_minus_distr_r, Rinv_r by lra; ring).
    lra. }
  rewrite GZ in B. unfold Rdiv at 1. lra.
Qed.

Section Orbit.
Variables (k : R) (a p : nat -> R).
Hypothesis K : 0 <= k < 2.
Hypothesis run : orbit k a p.

Definition w t := side k (a t) (p t).
Definition x t := plus k (a t) (p t).
Definition y t := minus k (a t) (p t).
Definition g t := growth k (p t).

Lemma w_step t : w (S t) = w t * g t.
Proof. destruct run as [_ E]; destruct (E t) as [A P]. unfold w, g. rewrite A, P. apply side_step. Qed.
Lemma x_step t : x (S t) = x t * (1 - p t)^2.
Proof. destruct run as [_ E]; destruct (E t) as [A P]. unfold x. rewrite A, P. apply factor. Qed.
Lemma y_step t : y (S t) = y t * (1 + p t)^2.
Proof. destruct run as [_ E]; destruct (E t) as [A P]. unfold y. rewrite A, P. apply factor. Qed.
Lemma p_step t : p (S t) = p t * ((p t)^2 - 3 - w t).
Proof. destruct run as [_ E]; destruct (E t) as [A P]. rewrite P. apply residual_step. Qed.
Lemma mix t : (2 - k) * x t + (2 + k) * y t = 4 * w t + 4 * (4 - k^2).
Proof. apply barycentric. Qed.
Lemma p_of_xy t : 4 * p t = x t - y t - 4 * k. Proof. unfold x, y, plus, minus; ring. Qed.
Lemma a_of_xy t : 2 * a t = x t + y t. Proof. unfold x, y, plus, minus; ring. Qed.
Lemma g_pos t : 0 < g t. Proof. apply growth_pos; exact K. Qed.

Lemma xy_nonneg t : 0 <= x t /\ 0 <= y t.
Proof.
  induction t as [|t [X Y]]; [apply run|]. rewrite x_step, y_step.
  split; apply Rmult_le_pos; try assumption; apply pow2_ge_0.
Qed.

(* edge: the sign of w never changes; on w = 0 the map is p' = p^3 - 3p. *)
Theorem edge_sign :
  (w O < 0 -> forall t, w t < 0) /\ (0 < w O -> forall t, 0 < w t) /\
  (w O = 0 -> forall t, w t = 0 /\ p (S t) = (p t)^3 - 3 * p t).
Proof.
  repeat split.
  - intros H t; induction t; [exact H|]. rewrite w_step. pose proof (g_pos t). nra.
  - intros H t; induction t; [exact H|]. rewrite w_step. pose proof (g_pos t).
    apply Rmult_lt_0_compat; assumption.
  - induction t as [|t IH]; [assumption|rewrite w_step, IH; ring].
  - assert (Z : w t = 0) by (induction t as [|t IH]; [assumption|rewrite w_step, IH; ring]).
    rewrite p_step, Z; ring.
Qed.
Lemma w_neg : w O < 0 -> forall t, w t < 0. Proof. apply edge_sign. Qed.
Lemma w_pos : 0 < w O -> forall t, 0 < w t. Proof. apply edge_sign. Qed.

(* edge: below or on the line |p| <= 2 and 0 <= a <= 4 + 2k for ever. *)
Theorem edge_bounded : w O <= 0 -> forall t, -2 <= p t <= 2 /\ 0 <= a t <= 4 + 2 * k.
Proof.
  intros H t. assert (W : w t <= 0).
  { destruct H as [H|H]; [left; apply w_neg, H|right; apply edge_sign, H]. }
  destruct (xy_nonneg t) as [X Y]. pose proof (mix t) as B.
  pose proof (p_of_xy t) as P. pose proof (a_of_xy t) as A.
  assert (0 <= (2 + k) * y t) by (apply Rmult_le_pos; lra).
  assert (0 <= (2 - k) * x t) by (apply Rmult_le_pos; lra).
  assert (Xb : x t <= 4 * (2 + k)) by (apply Rmult_le_reg_l with (2 - k); lra).
  assert (Yb : y t <= 4 * (2 - k)) by (apply Rmult_le_reg_l with (2 + k); lra).
  assert (Pb : -2 <= p t <= 2) by lra.
  assert (a t <= 4 + k * p t) by (unfold w, side in W; lra).
  assert (k * p t <= k * 2) by (apply Rmult_le_compat_l; lra).
  split; [exact Pb|split; lra].
Qed.

(* --- the Lyapunov function --- *)

Definition V t := ln (Rabs (w t)) - k/2 * ln (y t).

(* edge-2: V grows by at least (1 - k/2) p^2 / (1 + k p + p^2) in a step. *)
Theorem edge2_lyapunov t : w t <> 0 -> 0 < y (S t) -> (1 - k/2) * (p t)^2 / g t <= V (S t) - V t.
Proof.
  intros W Y. unfold V.
  assert (Y0 : 0 < y t).
  { destruct (xy_nonneg t) as [_ [H|H]]; [exact H|]. rewrite y_step, <- H, Rmult_0_l in Y. lra. }
  assert (N : 1 + p t <> 0). { intros E. rewrite y_step, E in Y. simpl in Y. lra. }
  pose proof (g_pos t) as F. pose proof (Rabs_pos_lt _ W) as A.
  rewrite w_step, Rabs_mult, (Rabs_pos_eq (g t)) by lra.
  rewrite y_step, (ln_mult (Rabs (w t))), (ln_mult (y t))
    by (try assumption; apply pow2_gt_0; exact N).
  pose proof (lyapunov_gain k (p t) K N) as H. unfold g in *. lra.
Qed.

Lemma V_grows : (forall t, w t <> 0) -> (forall t, 0 < y t) -> forall t, V t <= V (S t).
Proof.
  intros W Y t. pose proof (edge2_lyapunov t (W t) (Y (S t))) as H.
  assert (0 <= (1 - k/2) * (p t)^2 / g t); [|lra].
  apply Rmult_le_pos; [apply Rmult_le_pos; [lra|apply pow2_ge_0]|].
  left; apply Rinv_0_lt_compat, g_pos.
Qed.

Lemma V_above M N : (forall t, w t <> 0) -> (forall t, 0 < y t) -> M < V N ->
  forall t, (N <= t)%nat -> M < V t.
Proof.
  intros W Y H t T. apply Rlt_le_trans with (1 := H).
  induction T as [|t T IH]; [lra|]. apply Rle_trans with (1 := IH). apply V_grows; assumption.
Qed.

(* If V stays bounded, the residual goes to 0: on whichever side of the line. *)
Lemma residual_vanishes M : (forall t, w t <> 0) -> (forall t, 0 < y t) -> (forall t, V t <= M) ->
  is_lim_seq p 0.
Proof.
  intros W Y VM.
  destruct (ex_finite_lim_seq_incr V M (V_grows W Y) VM) as [l L].
  assert (Dv : is_lim_seq (fun t => V (S t) - V t) 0).
  { replace (Finite 0) with (Finite (l - l)) by (f_equal; ring).
    apply is_lim_seq_minus'; [apply -> is_lim_seq_incr_1; exact L|exact L]. }
  apply is_lim_seq_spec. intros [d D]; simpl.
  set (e := (1 - k/2) * (d * d) / (3 + 2 * (d * d))).
  assert (DD : 0 < d * d) by nra.
  assert (E0 : 0 < e).
  { unfold e, Rdiv. apply Rmult_lt_0_compat; [apply Rmult_lt_0_compat; lra|].
    apply Rinv_0_lt_compat; lra. }
  apply is_lim_seq_spec in Dv. destruct (Dv (mkposreal e E0)) as [N HN]; simpl in HN.
  exists N; intros t T. specialize (HN t T). rewrite Rminus_0_r in *.
  apply Rabs_def2 in HN. destruct HN as [HN _].
  pose proof (edge2_lyapunov t (W t) (Y (S t))) as H. pose proof (g_pos t) as F.
  set (z := (p t)^2) in *. assert (Z : 0 <= z) by apply pow2_ge_0.
  assert (KP : k * p t <= 2 + z).
  { destruct (Rle_dec 0 (p t)); [|unfold z; nra].
    apply Rle_trans with (2 * p t); [apply Rmult_le_compat_r; lra|].
    unfold z. assert (0 <= (p t - 1)^2) by apply pow2_ge_0. lra. }
  assert (GU : g t <= 3 + 2 * z) by (unfold g, growth; fold z; lra).
  assert (Q1 : (1 - k/2) * z < e * g t).
  { apply Rmult_lt_reg_r with (/ g t); [apply Rinv_0_lt_compat; exact F|].
    rewrite (Rmult_assoc e), Rinv_r by lra. unfold Rdiv in H. lra. }
  assert (Q2 : e * g t <= e * (3 + 2 * z)) by (apply Rmult_le_compat_l; lra).
  assert (Q3 : e * (3 + 2 * (d * d)) = (1 - k/2) * (d * d)) by (unfold e; field; lra).
  assert (ZD : z < d * d).
  { destruct (Rlt_dec z (d * d)) as [?|N']; [assumption|exfalso].
    assert (HZ : (1 - k/2) * z * (3 + 2 * (d * d)) < e * (3 + 2 * z) * (3 + 2 * (d * d)))
      by (apply Rmult_lt_compat_r; lra).
    replace (e * (3 + 2 * z) * (3 + 2 * (d * d))) with ((1 - k/2) * (d * d) * (3 + 2 * z)) in HZ
      by (rewrite <- Q3; ring).
    assert (0 <= (1 - k/2) * (z - d * d)) by (apply Rmult_le_pos; lra). lra. }
  unfold z in ZD. apply Rabs_def1; nra.
Qed.

Lemma w_small : w O < 0 -> forall t, Rabs (w t) <= 4.
Proof.
  intros H t. pose proof (w_neg H t) as W. rewrite Rabs_left by exact W.
  destruct (xy_nonneg t) as [X Y]. pose proof (mix t).
  assert (0 <= (2 - k) * x t) by (apply Rmult_le_pos; lra).
  assert (0 <= (2 + k) * y t) by (apply Rmult_le_pos; lra). nra.
Qed.

Lemma balanced_stays t : y t = 0 -> forall j, y (t + j)%nat = 0.
Proof.
  intros H j; induction j as [|j IH]; [rewrite Nat.add_0_r; exact H|].
  rewrite <- plus_n_Sm, y_step, IH; ring.
Qed.

(* Where |w| <= M while V is unbounded, y = a - 2q goes to 0. *)
Lemma y_vanishes M : 0 < k -> 0 < M -> (forall t, w t <> 0) -> (forall t, 0 < y t) ->
  (forall t, Rabs (w t) <= M) -> (forall B, exists t, B < V t) ->
  forall d, 0 < d -> exists N, forall t, (N <= t)%nat -> y t < d.
Proof.
  intros K0 M0 W Y WM U d D. destruct (U (ln M - k/2 * ln d)) as [N HN]. exists N; intros t T.
  pose proof (V_above _ N W Y HN t T) as H. unfold V in H.
  pose proof (ln_le _ _ (Rabs_pos_lt _ (W t)) (WM t)).
  apply ln_lt_inv; [apply Y|exact D|]. apply Rmult_lt_reg_l with (k/2); lra.
Qed.

(* edge-2: below the line the residual goes to 0, or the orbit becomes balanced (u = v). *)
Theorem edge2_dichotomy : w O < 0 -> is_lim_seq p 0 \/ is_lim_seq y 0.
Proof.
  intros H. destruct (classic (exists t, y t = 0)) as [[t0 H0]|NY].
  { right. apply is_lim_seq_incr_n with t0.
    apply is_lim_seq_ext with (fun _ => 0); [|apply is_lim_seq_const].
    intros j. rewrite Nat.add_comm, (balanced_stays t0 H0). reflexivity. }
  assert (Y : forall t, 0 < y t).
  { intros t. destruct (xy_nonneg t) as [_ [L|L]]; [exact L|].
    exfalso; apply NY; exists t; symmetry; exact L. }
  assert (W : forall t, w t <> 0) by (intros t; pose proof (w_neg H t); lra).
  destruct (classic (exists M, forall t, V t <= M)) as [[M HM]|NB].
  { left; apply (residual_vanishes M W Y HM). }
  destruct (Req_dec k 0) as [K0|K0].
  { left. apply (residual_vanishes (ln 4) W Y). intros t. unfold V. rewrite K0.
    pose proof (ln_le _ _ (Rabs_pos_lt _ (W t)) (w_small H t)). lra. }
  right. apply is_lim_seq_spec. intros [d D]; simpl.
  destruct (y_vanishes 4 ltac:(lra) ltac:(lra) W Y (w_small H)) with (d := d) as [N HN];
    [|exact D|].
  { intros B. apply NNPP; intros N. apply NB. exists B. intros t.
    destruct (Rle_dec (V t) B); [assumption|exfalso; apply N; exists t; lra]. }
  exists N. intros t T. rewrite Rminus_0_r, Rabs_pos_eq by (left; apply Y). apply HN, T.
Qed.

(* --- above the line --- *)

Lemma residual_stays : 0 < w O -> (forall t, p t <> 0) -> ~ is_lim_seq p 0.
Proof.
  intros H NP L. apply is_lim_seq_spec in L. destruct (L (mkposreal 1 Rlt_0_1)) as [N HN].
  simpl in HN. assert (G : forall j, Rabs (p N) <= Rabs (p (N + j)%nat)).
  { induction j as [|j IH]; [rewrite Nat.add_0_r; lra|]. rewrite <- plus_n_Sm, p_step, Rabs_mult.
    specialize (HN (N + j)%nat ltac:(lia)). rewrite Rminus_0_r in HN. apply Rabs_def2 in HN.
    pose proof (w_pos H (N + j)%nat). pose proof (Rabs_pos (p (N + j)%nat)).
    assert (1 <= Rabs ((p (N + j)%nat)^2 - 3 - w (N + j)%nat)) by (rewrite Rabs_left; nra). nra. }
  pose proof (Rabs_pos_lt _ (NP N)) as P. destruct (L (mkposreal _ P)) as [N2 H2].
  specialize (H2 (N + N2)%nat ltac:(lia)). rewrite Rminus_0_r in H2. simpl in H2.
  specialize (G N2). lra.
Qed.

Lemma p_of_w t : 4 * (2 - k) * p t = 4 * w t + 8 * (2 - k) - 4 * y t.
Proof.
  pose proof (mix t). pose proof (p_of_xy t) as P.
  assert ((2 - k) * (4 * p t) = (2 - k) * (x t - y t - 4 * k)) by (rewrite P; reflexivity). nra.
Qed.

(* Once balanced, w grows at least linearly. *)
Lemma balanced_w_grows t0 : 0 < w O -> y t0 = 0 -> forall j, w t0 * (1 + INR j) <= w (t0 + j)%nat.
Proof.
  intros H H0 j. induction j as [|j IH]; [rewrite Nat.add_0_r; simpl; lra|].
  rewrite <- plus_n_Sm, w_step, S_INR. pose proof (p_of_w (t0 + j)) as P.
  rewrite (balanced_stays t0 H0) in P. pose proof (w_pos H (t0 + j)%nat). pose proof (w_pos H t0).
  assert (2 <= p (t0 + j)%nat) by (apply Rmult_le_reg_l with (4 * (2 - k)); lra).
  assert (5 <= g (t0 + j)).
  { unfold g, growth. assert (0 <= k * p (t0 + j)%nat) by (apply Rmult_le_pos; lra). nra. }
  assert (0 <= w t0 * INR j) by (apply Rmult_le_pos; [lra|apply pos_INR]).
  assert (w (t0 + j)%nat * 5 <= w (t0 + j)%nat * g (t0 + j)) by (apply Rmult_le_compat_l; lra).
  lra.
Qed.

Lemma w_unbounded : 0 < w O -> (forall t, p t <> 0) -> forall M, exists t, M < w t.
Proof.
  intros H NP M. apply NNPP; intros N. pose proof (w_pos H) as W0.
  assert (WM : forall t, w t <= M)
    by (intros t; destruct (Rle_dec (w t) M); [assumption|exfalso; apply N; exists t; lra]).
  destruct (classic (exists t, y t = 0)) as [[t0 H0]|NY].
  { pose proof (W0 t0) as W00. destruct (nfloor_ex (Rabs M / w t0)) as [j [_ Hj]].
    { apply Rmult_le_pos; [apply Rabs_pos|left; apply Rinv_0_lt_compat; exact W00]. }
    pose proof (balanced_w_grows t0 H H0 j). pose proof (WM (t0 + j)%nat). pose proof (Rle_abs M).
    assert (Rabs M < w t0 * (INR j + 1)); [|lra].
    apply Rmult_lt_reg_r with (/ w t0); [apply Rinv_0_lt_compat; exact W00|].
    replace (w t0 * (INR j + 1) * / w t0) with (INR j + 1) by (field; lra). exact Hj. }
  assert (Y : forall t, 0 < y t).
  { intros t. destruct (xy_nonneg t) as [_ [L|L]]; [exact L|].
    exfalso; apply NY; exists t; symmetry; exact L. }
  assert (W : forall t, w t <> 0) by (intros t; pose proof (W0 t); lra).
  assert (M0 : 0 < M) by (pose proof (WM O); pose proof (W0 O); lra).
  assert (WA : forall t, Rabs (w t) <= M)
    by (intros t; rewrite Rabs_pos_eq; [apply WM|left; apply W0]).
  assert (U : forall B, exists t, B < V t).
  { intros B; apply NNPP; intros NB. apply (residual_stays H NP).
    apply (residual_vanishes B W Y).
    intros t; destruct (Rle_dec (V t) B); [assumption|exfalso; apply NB; exists t; lra]. }
  destruct (Req_dec k 0) as [K0|K0].
  { destruct (U (ln M)) as [t Ht]. unfold V in Ht. rewrite K0 in Ht.
    pose proof (ln_le _ _ (Rabs_pos_lt _ (W t)) (WA t)). lra. }
  assert (Small := y_vanishes M ltac:(lra) M0 W Y WA U).
  destruct (Small (2 - k)) as [N1 H1]; [lra|]. (* there y grows: a contradiction *)
  assert (G : forall j, y N1 <= y (N1 + j)%nat).
  { induction j as [|j IH]; [rewrite Nat.add_0_r; lra|]. rewrite <- plus_n_Sm, y_step.
    specialize (H1 (N1 + j)%nat ltac:(lia)). pose proof (p_of_w (N1 + j)).
    pose proof (W0 (N1 + j)%nat). pose proof (Y (N1 + j)%nat).
    assert (1 <= p (N1 + j)%nat) by (apply Rmult_le_reg_l with (4 * (2 - k)); lra).
    assert (1 <= (1 + p (N1 + j)%nat)^2) by nra. nra. }
  destruct (Small (y N1) (Y N1)) as [N2 H2]. specialize (H2 (N1 + N2)%nat ltac:(lia)).
  specialize (G N2). lra.
Qed.

(* w loses at most a fixed factor in a step, and has it back after the next. *)
Definition low := 1 - k^2 / 4.
Lemma low_pos : 0 < low. Proof. unfold low; nra. Qed.

Lemma two_steps t : 0 < w O -> 1 + / low <= w t ->
  w t <= w (S t) \/ (low * w t <= w (S t) /\ w t <= w (S (S t))).
Proof.
  intros H W1. pose proof low_pos as C0. pose proof (w_pos H t) as W0.
  destruct (Rle_dec 1 (g t)) as [F|F]; [left; rewrite w_step; nra|right].
  assert (CF : low <= g t) by apply growth_low.
  split; [rewrite w_step; nra|].
  assert (PN : p t < 0).
  { destruct (Rlt_dec (p t) 0); [assumption|exfalso; apply F; unfold g, growth].
    assert (0 <= k * p t) by (apply Rmult_le_pos; lra). nra. }
  assert (PK : (p t)^2 <= 4) by (unfold g, growth in F; nra).
  assert (IC : low * / low = 1) by (apply Rinv_r; lra).
  set (s := - p t). assert (S0 : 0 < s) by (unfold s; lra).
  assert (P : p (S t) = s * (3 + w t - (p t)^2)) by (rewrite p_step; unfold s; ring).
  assert (PS : s <= low * p (S t)).
  { rewrite P. assert (1 <= low * (3 + w t - (p t)^2)).
    { apply Rle_trans with (low * / low); [lra|]. apply Rmult_le_compat_l; lra. }
    replace (low * (s * (3 + w t - (p t)^2))) with (s * (low * (3 + w t - (p t)^2))) by ring.
    nra. }
  assert (P0 : 0 <= p (S t)) by (apply Rmult_le_reg_l with low; lra).
  rewrite (w_step (S t)), w_step. rewrite Rmult_assoc.
  assert (G1 : g t * (1 + k * p (S t)) <= g t * g (S t)).
  { apply Rmult_le_compat_l; [left; apply g_pos|]. unfold g, growth.
    pose proof (pow2_ge_0 (p (S t))). lra. }
  assert (G2 : low * (k * p (S t)) <= g t * (k * p (S t)))
    by (apply Rmult_le_compat_r; [apply Rmult_le_pos; lra|exact CF]).
  assert (G3 : k * s <= k * (low * p (S t))) by (apply Rmult_le_compat_l; lra).
  assert (G4 : g t = 1 - k * s + (p t)^2) by (unfold g, growth, s; ring).
  pose proof (pow2_ge_0 (p t)). assert (1 <= g t * g (S t)) by lra. nra.
Qed.

Lemma w_eventually_above : 0 < w O -> (forall t, p t <> 0) ->
  forall B, 1 + / low <= B -> exists N, forall t, (N <= t)%nat -> low * B <= w t.
Proof.
  intros H NP B HB. pose proof low_pos as C0.
  assert (C1 : low <= 1) by (unfold low; pose proof (pow2_ge_0 k); lra).
  assert (IC : 0 < / low) by (apply Rinv_0_lt_compat; exact C0).
  destruct (w_unbounded H NP B) as [N HN]. exists N.
  assert (I : forall j, B <= w (N + j)%nat \/ (low * B <= w (N + j)%nat /\ B <= w (S (N + j)))).
  { induction j as [|j [I|[_ J]]]; [left; rewrite Nat.add_0_r; lra| |left];
      rewrite <- plus_n_Sm; [|exact J].
    destruct (two_steps (N + j) H) as [S1|[S1 S2]]; [lra|left; lra|right].
    split; [|lra]. apply Rle_trans with (2 := S1). apply Rmult_le_compat_l; lra. }
  intros t T. replace t with (N + (t - N))%nat by lia.
  destruct (I (t - N)%nat) as [J|[J _]]; [|exact J].
  assert (low * B <= 1 * B) by (apply Rmult_le_compat_r; lra). lra.
Qed.

(* edge: above the line the curvature diverges, unless the label is hit exactly at some step. *)
Theorem edge_diverges : 0 < w O -> (forall t, p t <> 0) -> is_lim_seq a p_infty.
Proof.
  intros H NP. apply is_lim_seq_spec. intros M; simpl. pose proof low_pos as C0.
  set (B := Rmax (1 + / low) (2 * Rabs M / low + 1)).
  assert (B1 : 1 + / low <= B) by apply Rmax_l.
  assert (B2 : 2 * Rabs M / low + 1 <= B) by apply Rmax_r.
  destruct (w_eventually_above H NP B B1) as [N HN]. exists N. intros t T. specialize (HN t T).
  assert (CB : 2 * Rabs M < low * B).
  { apply Rlt_le_trans with (low * (2 * Rabs M / low + 1)); [|apply Rmult_le_compat_l; lra].
    replace (low * (2 * Rabs M / low + 1)) with (2 * Rabs M + low) by (field; lra). lra. }
  pose proof (mix t) as Mx. pose proof (a_of_xy t) as A. destruct (xy_nonneg t) as [X Y].
  assert (0 <= k * x t) by (apply Rmult_le_pos; lra).
  assert (0 <= (2 - k) * y t) by (apply Rmult_le_pos; lra).
  assert (0 <= (2 - k) * x t) by (apply Rmult_le_pos; lra).
  assert (K2 : 0 <= 4 - k^2) by nra. pose proof (Rle_abs M).
  assert (A4 : (2 + k) * (2 * a t) >= 4 * w t) by (rewrite A; nra).
  assert (0 <= a t) by lra. assert (4 * (2 * a t) >= 4 * w t) by nra. pose proof (Rabs_pos M). lra.
Qed.

(* --- where an orbit may end --- *)

Lemma no_decay (d : R) (T : nat) : 0 < d -> (forall t, (T <= t)%nat -> 2 + d <= a t) ->
  (forall t, p t <> 0) -> ~ is_lim_seq p 0.
Proof.
  intros D A NP L. apply is_lim_seq_spec in L.
  set (e := Rmin 1 (d/4)). assert (E0 : 0 < e) by (unfold e; apply Rmin_glb_lt; lra).
  assert (E1 : e <= 1) by apply Rmin_l. assert (E2 : e <= d/4) by apply Rmin_r.
  destruct (L (mkposreal e E0)) as [N HN]; simpl in HN. set (M := Nat.max N T).
  assert (G : forall j, Rabs (p M) <= Rabs (p (M + j)%nat)).
  { induction j as [|j IH]; [rewrite Nat.add_0_r; lra|]. destruct run as [_ E].
    rewrite <- plus_n_Sm, (proj2 (E _)). unfold next_p. rewrite Rabs_mult.
    specialize (HN (M + j)%nat ltac:(lia)). rewrite Rminus_0_r in HN. apply Rabs_def2 in HN.
    specialize (A (M + j)%nat ltac:(lia)). pose proof (Rabs_pos (p (M + j)%nat)).
    set (z := p (M + j)%nat) in *. assert (z * (z + k) <= d) by nra.
    assert (1 <= Rabs (1 - a (M + j)%nat + z * (z + k))) by (rewrite Rabs_left; lra). nra. }
  pose proof (Rabs_pos_lt _ (NP M)) as Q. destruct (L (mkposreal _ Q)) as [N2 H2].
  specialize (H2 (M + N2)%nat ltac:(lia)). rewrite Rminus_0_r in H2. simpl in H2.
  specialize (G N2). lra.
Qed.

(* edge-2: an orbit that converges ends at or below curvature 2, unless it hits the label. *)
Theorem edge2_flat (l : R) : (forall t, p t <> 0) -> is_lim_seq p 0 -> is_lim_seq a l -> l <= 2.
Proof.
  intros NP P A. destruct (Rle_dec l 2) as [?|N]; [assumption|exfalso].
  apply is_lim_seq_spec in A. assert (H : 0 < (l - 2)/2) by lra.
  destruct (A (mkposreal _ H)) as [T HT]; simpl in HT.
  apply (no_decay ((l - 2)/2) T H); [|exact NP|exact P].
  intros t Tt. specialize (HT t Tt). apply Rabs_def2 in HT. lra.
Qed.

(* edge-2: for k > 1 every orbit below the line becomes balanced, unless it hits the label. *)
Theorem edge2_balanced : 1 < k -> w O < 0 -> (forall t, p t <> 0) -> is_lim_seq y 0.
Proof.
  intros K1 H NP. destruct (edge2_dichotomy H) as [L|L]; [exfalso|exact L].
  pose proof L as L'. apply is_lim_seq_spec in L'. assert (E : 0 < (k - 1)/2) by lra.
  destruct (L' (mkposreal _ E)) as [T HT]; simpl in HT.
  apply (no_decay (k - 1) T); [lra| |exact NP|exact L].
  intros t Tt. specialize (HT t Tt). rewrite Rminus_0_r in HT. apply Rabs_def2 in HT.
  destruct (xy_nonneg t) as [_ Y]. unfold y, minus in Y. lra.
Qed.
End Orbit.

(* On the balanced line a = 2q, which is invariant, the map is a cubic. *)
Theorem edge2_cubic k a p : minus k a p = 0 ->
  next_p k a p = p^3 + (k - 2) * p^2 + (1 - 2 * k) * p /\
  minus k (next_a k a p) (next_p k a p) = 0.
Proof.
  intros H. split; [|rewrite (proj2 (factor k a p)), H; ring].
  assert (E : a = 2 * (p + k)) by (unfold minus in H; lra). unfold next_p. rewrite E. ring.
Qed.

(* The bound 4 + 2k of edge_bounded is attained: the vertex a = 4 + 2k, p = 2 stays where it is. *)
Theorem edge_vertex k :
  next_a k (4 + 2 * k) 2 = 4 + 2 * k /\ next_p k (4 + 2 * k) 2 = 2 /\
  side k (4 + 2 * k) 2 = 0 /\ minus k (4 + 2 * k) 2 = 0.
Proof. unfold next_a, next_p, side, minus; repeat split; ring. Qed.
