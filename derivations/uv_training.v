(* End to end: gradient descent on vectors u, v of any length n for f = u.v / sqrt n and the
   squared loss (f - y)^2/2, from the vectors at the start to the fate of the training run.
   Statements convergence, flat, divergence (y = 0) and sharp (y >= 0). *)
From Coq Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Catapult Require vectors uv_step uv_map uv_label_map uv_edge.
Import vectors uv_step.
Open Scope R_scope.

Section Training.
Variables (n : nat) (u0 v0 : vec) (eta y : R).
Hypothesis wide : (0 < n)%nat.
Hypothesis eta_pos : 0 < eta.

(* The vectors after t steps of gradient descent. *)
Fixpoint trained (t : nat) : vec * vec :=
  match t with
  | O => (u0, v0)
  | S s => let (u, v) := trained s in
           let g := output n u v - y in (push n eta g u v, push n eta g v u)
  end.

Definition f t := output n (fst (trained t)) (snd (trained t)).
Definition lam t := kernel n (fst (trained t)) (snd (trained t)).
Definition loss t := (f t - y)^2 / 2.

(* The run in dimensionless numbers. *)
Definition a t := eta * lam t.
Definition p t := eta * (f t - y) / sqrt (INR n).
Definition k := eta * y / sqrt (INR n).

Lemma steps t : a (S t) = uv_label_map.next_a k (a t) (p t) /\
                p (S t) = uv_label_map.next_p k (a t) (p t).
Proof.
  pose proof (T1 n (fst (trained t)) (snd (trained t)) wide eta y) as H. cbv zeta in H.
  unfold a, p, k, f, lam. simpl trained. destruct (trained t) as [u v]. exact H.
Qed.

Lemma kernel_bound t : - lam t <= 2 * f t / sqrt (INR n) <= lam t.
Proof. apply output_bound, wide. Qed.

Lemma lam_nonneg t : 0 <= lam t. Proof. pose proof (kernel_bound t). lra. Qed.

Lemma run : uv_label_map.orbit k a p.
Proof.
  split; [|exact steps]. pose proof (kernel_bound O) as [L H]. pose proof (root_pos n wide) as R.
  unfold uv_label_map.plus, uv_label_map.minus.
  replace (p O + k) with (eta * f O / sqrt (INR n)) by (unfold p, k; field; lra).
  unfold a. set (q := f O / sqrt (INR n)).
  replace (2 * f O / sqrt (INR n)) with (2 * q) in L, H by (unfold q, Rdiv; ring).
  replace (2 * (eta * f O / sqrt (INR n))) with (eta * (2 * q)) by (unfold q, Rdiv; ring).
  assert (0 <= eta * (lam O + 2 * q)) by (apply Rmult_le_pos; lra).
  assert (0 <= eta * (lam O - 2 * q)) by (apply Rmult_le_pos; lra). split; lra.
Qed.

Lemma p_zero t : p t = 0 <-> f t = y.
Proof.
  pose proof (root_pos n wide) as R. unfold p. split; intros H.
  - assert (E : eta * (f t - y) = 0).
    { replace (eta * (f t - y)) with (eta * (f t - y) / sqrt (INR n) * sqrt (INR n)) by (field; lra).
      rewrite H; ring. }
    destruct (Rmult_integral _ _ E); lra.
  - rewrite H. field; lra.
Qed.

(* --- without a label --- *)

Section Unlabelled.
Hypothesis no_label : y = 0.

Definition b t := eta^2 * (f t)^2 / INR n.

Lemma unlabelled_run : uv_map.orbit a b.
Proof.
  assert (B : forall t, b t = (p t)^2).
  { intros t. unfold b, p. rewrite no_label. by_root wide. field; lra. }
  assert (Z : k = 0) by (unfold k; rewrite no_label; unfold Rdiv; ring).
  split.
  - pose proof (proj1 run) as [X Y]. unfold uv_label_map.plus, uv_label_map.minus in X, Y.
    rewrite Z in X, Y. rewrite B. repeat split; [lra|apply pow2_ge_0|].
    assert (0 <= (a O + 2 * p O) * (a O - 2 * p O)) by (apply Rmult_le_pos; lra). lra.
  - intros t. destruct (steps t) as [A P]. rewrite Z in A, P. rewrite !B, A, P.
    unfold uv_map.next_a, uv_map.next_b, uv_label_map.next_a, uv_label_map.next_p. split; ring.
Qed.

Lemma never_zero : (forall t, f t <> 0) -> forall t, 0 < b t.
Proof.
  intros N t. unfold b. pose proof (width_pos n wide). specialize (N t).
  apply Rdiv_lt_0_compat; [|assumption].
  apply Rmult_lt_0_compat; apply pow2_gt_0; lra.
Qed.

(* convergence: eta lam_0 < 4 implies that the loss goes to 0 while lam never grows, at any
   width, from any vectors. *)
Theorem convergence : eta * lam O < 4 ->
  is_lim_seq loss 0 /\ forall t, lam (S t) <= lam t.
Proof.
  intros H. split.
  - destruct (uv_map.T4_limit a b unlabelled_run H) as (l & _ & _ & _ & B).
    pose proof (width_pos n wide) as W.
    apply is_lim_seq_ext with (fun t => INR n / (2 * eta^2) * b t).
    { intros t. unfold b, loss. rewrite no_label. field. split; lra. }
    replace (Finite 0) with (Rbar_mult (INR n / (2 * eta^2)) (Finite 0))
      by (simpl; f_equal; ring).
    apply is_lim_seq_scal_l, B.
  - intros t. apply Rmult_le_reg_l with eta; [exact eta_pos|].
    apply (uv_map.T3 a b unlabelled_run H t).
Qed.

(* flat: the curvature has a limit, at which eta lam <= 2 unless the output was exactly 0. *)
Theorem flat : eta * lam O < 4 ->
  exists l : R, is_lim_seq lam l /\ 0 <= l <= lam O /\ ((forall t, f t <> 0) -> eta * l <= 2).
Proof.
  intros H. destruct (uv_map.T4_limit a b unlabelled_run H) as (l & L & [B0 B1] & _ & _).
  exists (/ eta * l). assert (I : 0 < / eta) by (apply Rinv_0_lt_compat, eta_pos).
  split; [|split; [split|]].
  - apply is_lim_seq_ext with (fun t => / eta * a t); [intros t; unfold a; field; lra|].
    replace (Finite (/ eta * l)) with (Rbar_mult (/ eta) (Finite l)) by reflexivity.
    apply is_lim_seq_scal_l, L.
  - apply Rmult_le_pos; lra.
  - apply Rmult_le_reg_l with eta; [exact eta_pos|].
    rewrite <- Rmult_assoc, Rinv_r, Rmult_1_l by lra. exact B1.
  - intros N. rewrite <- Rmult_assoc, Rinv_r, Rmult_1_l by lra.
    apply (uv_map.T5 a b unlabelled_run H (never_zero N) l L).
Qed.

(* divergence: eta lam_0 > 4 implies lam -> infinity, unless the output is exactly 0 once. *)
Theorem divergence : 4 < eta * lam O -> (forall t, f t <> 0) ->
  is_lim_seq (fun t => eta * lam t) p_infty.
Proof. intros H N. exact (uv_map.T6_diverges a b unlabelled_run H (never_zero N)). Qed.
End Unlabelled.

(* --- with a label: the closed form of the edge --- *)

Section Labelled.
Hypothesis label : 0 <= y.

Definition root := sqrt ((lam O)^2 + 16 * y * (y - f O) / INR n).
Definition eta_max := 8 / (lam O + root).

(* s stands for y / sqrt n and q for f / sqrt n. *)
Let s := y / sqrt (INR n).
Let q := f O / sqrt (INR n).

Lemma in_roots : (lam O)^2 + 16 * y * (y - f O) / INR n = (lam O)^2 + 16 * s * (s - q).
Proof. unfold s, q. by_root wide. field; lra. Qed.

Lemma s_nonneg : 0 <= s.
Proof. unfold s. apply Rdiv_le_0_compat; [exact label|apply root_pos, wide]. Qed.

Lemma q_bound : - lam O <= 2 * q <= lam O.
Proof.
  pose proof (kernel_bound O) as H. unfold q.
  replace (2 * (f O / sqrt (INR n))) with (2 * f O / sqrt (INR n)) by (unfold Rdiv; ring). exact H.
Qed.

Lemma k_is : k = eta * s. Proof. unfold k, s, Rdiv; ring. Qed.
Lemma p_is : p O = eta * (q - s). Proof. unfold p, q, s, Rdiv; ring. Qed.

Lemma radicand_nonneg : 0 <= (lam O)^2 + 16 * s * (s - q).
Proof.
  pose proof q_bound. assert ((2 * q)^2 <= (lam O)^2) by nra.
  assert (0 <= (4 * s - 2 * q)^2) by apply pow2_ge_0. nra.
Qed.

Lemma root_square : root * root = (lam O)^2 + 16 * s * (s - q).
Proof. unfold root. rewrite in_roots. apply sqrt_sqrt, radicand_nonneg. Qed.

Lemma root_bounds : lam O - root <= 4 * s /\ 4 * s <= lam O + root.
Proof.
  pose proof q_bound. pose proof s_nonneg. pose proof root_square as Q.
  assert (R : 0 <= root) by apply sqrt_pos.
  assert (0 <= s * (lam O - 2 * q)) by (apply Rmult_le_pos; lra).
  assert (S2 : (lam O - 4 * s)^2 <= root * root) by nra.
  split; nra.
Qed.

(* 16 w_0 is a quadratic in eta whose roots are 8/(lam_0 -+ root). *)
Lemma side_factors :
  16 * uv_edge.w k a p O = - (8 - eta * (lam O + root)) * (8 - eta * (lam O - root)).
Proof.
  pose proof root_square as Q. unfold uv_edge.w, uv_edge.side, a. rewrite k_is, p_is.
  replace (- (8 - eta * (lam O + root)) * (8 - eta * (lam O - root)))
    with (-64 + 16 * eta * lam O - eta^2 * ((lam O)^2 - root * root)) by ring.
  rewrite Q. ring.
Qed.

Lemma other_root : k < 2 -> 0 < 8 - eta * (lam O - root).
Proof.
  intros H. destruct root_bounds as [B _]. rewrite k_is in H.
  assert (eta * (lam O - root) <= eta * (4 * s)) by (apply Rmult_le_compat_l; lra). lra.
Qed.

Lemma k_nonneg : 0 <= k.
Proof. rewrite k_is. apply Rmult_le_pos; [lra|exact s_nonneg]. Qed.

Lemma edge_pos : 0 < lam O -> 0 < lam O + root.
Proof. intros. assert (0 <= root) by apply sqrt_pos. lra. Qed.

(* sharp, below: for eta < eta_max curvature and residual stay bounded for ever, and the loss
   goes to 0 or the vectors become equal. *)
Theorem sharp_below : 0 < lam O -> eta < eta_max ->
  (forall t, -2 <= p t <= 2 /\ 0 <= eta * lam t <= 4 + 2 * k) /\
  (is_lim_seq p 0 \/ is_lim_seq (fun t => eta * (lam t - 2 * f t / sqrt (INR n))) 0).
Proof.
  intros L H. pose proof (edge_pos L) as E. pose proof (root_pos n wide) as R.
  assert (B : eta * (lam O + root) < 8).
  { apply Rmult_lt_compat_r with (r := lam O + root) in H; [|exact E].
    unfold eta_max in H. replace (8 / (lam O + root) * (lam O + root)) with 8 in H by (field; lra).
    exact H. }
  assert (K : 0 <= k < 2).
  { split; [apply k_nonneg|]. rewrite k_is. destruct root_bounds as [_ G].
    assert (eta * (4 * s) <= eta * (lam O + root)) by (apply Rmult_le_compat_l; lra). lra. }
  assert (W : uv_edge.w k a p O < 0).
  { pose proof (other_root (proj2 K)). pose proof side_factors. nra. }
  split; [exact (uv_edge.edge_bounded k a p K run (or_introl W))|].
  destruct (uv_edge.edge2_dichotomy k a p K run W) as [D|D]; [left; exact D|right].
  apply is_lim_seq_ext with (2 := D). intros t. unfold uv_edge.y, uv_label_map.minus, a, p, k.
  field; lra.
Qed.

(* sharp, above: for eta > eta_max (and eta y/sqrt n < 2) the curvature diverges, unless the
   label is hit exactly at some step. *)
Theorem sharp_above : 0 < lam O -> eta_max < eta -> k < 2 -> (forall t, f t <> y) ->
  is_lim_seq (fun t => eta * lam t) p_infty.
Proof.
  intros L H K N. pose proof (edge_pos L) as E.
  assert (B : 8 < eta * (lam O + root)).
  { apply Rmult_lt_compat_r with (r := lam O + root) in H; [|exact E].
    unfold eta_max in H. replace (8 / (lam O + root) * (lam O + root)) with 8 in H by (field; lra).
    exact H. }
  assert (W : 0 < uv_edge.w k a p O) by (pose proof (other_root K); pose proof side_factors; nra).
  apply (uv_edge.edge_diverges k a p (conj k_nonneg K) run W).
  intros t Z. apply (N t), p_zero, Z.
Qed.
End Labelled.
End Training.

(* Without a label the edge is 4/lam_0. *)
Theorem sharp_unlabelled n u0 v0 eta : 0 < lam n u0 v0 eta 0 O ->
  eta_max n u0 v0 eta 0 = 4 / lam n u0 v0 eta 0 O.
Proof.
  intros L. unfold eta_max, root.
  replace ((lam n u0 v0 eta 0 O)^2 + 16 * 0 * (0 - f n u0 v0 eta 0 O) / INR n)
    with ((lam n u0 v0 eta 0 O)^2) by (unfold Rdiv; ring).
  rewrite sqrt_pow2 by lra. field. lra.
Qed.
