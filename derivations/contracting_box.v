(* A map of the plane that sends a box into itself and contracts it has one fixed point in the
   box, and every orbit in the box converges to it: Banach's theorem, in the norm
   max(|x|/d, |y|/h). And a differentiable map contracts where its Jacobian does. Statement box. *)
From Coq Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
Open Scope R_scope.

Definition point := (R * R)%type.
Definition dist (d h : R) (z w : point) := Rmax (Rabs (fst z - fst w) / d) (Rabs
  (snd z - snd w) / h).
Definition inside (x0 x1 y0 y1 : R) (z : point) := x0 <= fst z <= x1 /\ y0 <= snd z <= y1.
Definition repeated (G : point -> point) (t : nat) (z : point) : point := Nat.iter t G z.

Lemma repeated_later G t z : repeated G (S t) z = repeated G t (G z).
Proof. induction t as [|t IH]; [reflexivity|]. simpl in *. unfold repeated in *. rewrite IH.
  reflexivity. Qed.

Section Box.
Variables (G : point -> point) (x0 x1 y0 y1 d h L : R).
Hypothesis sizes : 0 < d /\ 0 < h.
Hypothesis factor : 0 <= L < 1.
Let B := inside x0 x1 y0 y1.
Let far := dist d h.
Hypothesis into : forall z, B z -> B (G z).
Hypothesis contracts : forall z w, B z -> B w -> far (G z) (G w) <= L * far z w.

Lemma first_below z w : Rabs (fst z - fst w) <= d * far z w.
Proof.
  destruct sizes as [D H]. unfold far, dist. pose proof (Rmax_l (Rabs (fst z - fst w) / d) (Rabs
    (snd z - snd w) / h)) as M.
  apply Rmult_le_compat_l with (r := d) in M; [|lra]. field_simplify in M; lra.
Qed.

Lemma second_below z w : Rabs (snd z - snd w) <= h * far z w.
Proof.
  destruct sizes as [D H]. unfold far, dist. pose proof (Rmax_r (Rabs (fst z - fst w) / d) (Rabs
    (snd z - snd w) / h)) as M.
  apply Rmult_le_compat_l with (r := h) in M; [|lra]. field_simplify in M; lra.
Qed.

Lemma far_below z w c : Rabs (fst z - fst w) <= d * c -> Rabs (snd z - snd w) <= h * c ->
  far z w <= c.
Proof.
  destruct sizes as [D H]. intros X Y. unfold far, dist. apply Rmax_lub.
  - apply Rmult_le_reg_l with d; [exact D|]. field_simplify; lra.
  - apply Rmult_le_reg_l with h; [exact H|]. field_simplify; lra.
Qed.

Lemma far_nonneg z w : 0 <= far z w.
Proof.
  destruct sizes as [D _]. pose proof (first_below z w) as M. pose proof (Rabs_pos (fst z - fst w)).
  apply Rmult_le_reg_l with d; lra.
Qed.

Lemma stays t z : B z -> B (repeated G t z).
Proof. intros I; induction t as [|t IH]; [exact I|apply into, IH]. Qed.

Lemma far_repeated t z w : B z -> B w -> far (repeated G t z) (repeated G t w) <= L^t * far z w.
Proof.
  intros Z W. induction t as [|t IH]; [simpl; lra|].
  apply Rle_trans with (L * far (repeated G t z) (repeated G t w)).
  - apply contracts; apply stays; assumption.
  - simpl. rewrite Rmult_assoc. apply Rmult_le_compat_l; [lra|exact IH].
Qed.

(* Steps shrink like a power, so that each coordinate of an orbit has a limit. *)
Lemma shrinking (u : nat -> R) c : 0 <= c -> (forall t, Rabs (u (S t) - u t) <= c * L^t) ->
  ex_finite_lim_seq u.
Proof.
  intros C0 H.
  assert (E : ex_series (fun t => u (S t) - u t)).
  { apply (ex_series_le (K := R_AbsRing) (V := R_CompleteNormedModule) _ (fun t => c * L^t)).
    - exact H.
    - apply (ex_series_scal (K := R_AbsRing) (V := R_NormedModule) c (fun t => L^t)).
      apply ex_series_geom. rewrite Rabs_pos_eq; lra. }
  destruct E as [l E]. exists (l + u O).
  apply is_lim_seq_incr_1.
  apply is_lim_seq_ext with (fun t => sum_n (fun t => u (S t) - u t) t + u O).
  - intros t; induction t as [|t IH]; [rewrite sum_O; ring|]. rewrite sum_Sn. unfold plus; simpl.
      lra.
  - apply is_lim_seq_plus'; [exact E|apply is_lim_seq_const].
Qed.

Lemma closed (u : nat -> R) l lo hi : is_lim_seq u (Finite l) -> (forall t, lo <= u t <= hi) ->
  lo <= l <= hi.
Proof.
  intros U H. split.
  - apply (is_lim_seq_le (fun _ => lo) u lo l); [intros t; apply H|apply is_lim_seq_const|exact U].
  - apply (is_lim_seq_le u (fun _ => hi) l hi); [intros t; apply H|exact U|apply is_lim_seq_const].
Qed.

(* box: the fixed point, its uniqueness, and the rate of convergence. *)
Theorem fixed_point : (exists z, B z) ->
  exists z, (B z /\ G z = z) /\ (forall w, B w -> G w = w -> w = z) /\
    forall w, B w -> forall t, B (repeated G t w) /\ far (repeated G t w) z <= L^t * far w z.
Proof.
  intros [w0 W]. destruct sizes as [D H]. set (o := fun t => repeated G t w0).
  assert (Near : forall t, far (o (S t)) (o t) <= L^t * far (G w0) w0).
  { intros t. replace (o (S t)) with (repeated G t (G w0)).
    - apply far_repeated; [apply into, W|exact W].
    - symmetry. apply repeated_later. }
  pose proof (far_nonneg (G w0) w0) as F0.
  assert (Lt : forall t, 0 <= L^t) by (intros t; apply pow_le; lra).
  destruct (shrinking (fun t => fst (o t)) (d * far (G w0) w0)) as [x X].
  { apply Rmult_le_pos; lra. }
  { intros t. apply Rle_trans with (1 := first_below _ _). specialize (Near t). specialize (Lt t).
    apply Rmult_le_compat_l with (r := d) in Near; lra. }
  destruct (shrinking (fun t => snd (o t)) (h * far (G w0) w0)) as [y Y].
  { apply Rmult_le_pos; lra. }
  { intros t. apply Rle_trans with (1 := second_below _ _). specialize (Near t). specialize (Lt t).
    apply Rmult_le_compat_l with (r := h) in Near; lra. }
  set (z := (x, y)).
  assert (In : B z).
  { split.
    - apply (closed _ _ _ _ X). intros t. apply (stays t w0 W).
    - apply (closed _ _ _ _ Y). intros t. apply (stays t w0 W). }
  assert (Far : is_lim_seq (fun t => far (o t) z) 0).
  { assert (Xa : is_lim_seq (fun t => Rabs (fst (o t) - x) / d) 0).
    { replace (Finite 0) with (Finite (Rabs (x - x) / d))
        by (rewrite Rminus_diag_eq, Rabs_R0 by ring; f_equal; field; lra).
      apply is_lim_seq_div'; [|apply is_lim_seq_const|lra].
      apply (is_lim_seq_abs _ (Finite (x - x))). apply is_lim_seq_minus';
        [exact X|apply is_lim_seq_const]. }
    assert (Ya : is_lim_seq (fun t => Rabs (snd (o t) - y) / h) 0).
    { replace (Finite 0) with (Finite (Rabs (y - y) / h))
        by (rewrite Rminus_diag_eq, Rabs_R0 by ring; f_equal; field; lra).
      apply is_lim_seq_div'; [|apply is_lim_seq_const|lra].
      apply (is_lim_seq_abs _ (Finite (y - y))). apply is_lim_seq_minus';
        [exact Y|apply is_lim_seq_const]. }
    apply is_lim_seq_le_le with (fun _ => 0) (fun t => Rabs (fst (o t) - x) / d + Rabs (snd
      (o t) - y) / h).
    - intros t. split; [apply far_nonneg|]. unfold far, dist. simpl.
      assert (0 <= Rabs (fst (o t) - x) / d) by (apply Rdiv_le_0_compat; [apply Rabs_pos|exact D]).
      assert (0 <= Rabs (snd (o t) - y) / h) by (apply Rdiv_le_0_compat; [apply Rabs_pos|exact H]).
      apply Rmax_lub; lra.
    - apply is_lim_seq_const.
    - replace (Finite 0) with (Finite (0 + 0)) by (f_equal; ring).
        apply is_lim_seq_plus'; assumption. }
  assert (Fixed : forall w, B w -> G w = w -> forall v, B v ->
    forall t, far (repeated G t v) w <= L^t * far v w).
  { intros w Iw Fw v Iv t. replace w with (repeated G t w) at 1; [apply far_repeated; assumption|].
    clear - Fw. induction t as [|t IH]; [reflexivity|].
    change (G (repeated G t w) = w). rewrite IH. exact Fw. }
  assert (Same : forall u v : point, far u v <= 0 -> u = v).
  { intros u v E. pose proof (first_below u v) as P. pose proof (second_below u v) as Q.
    pose proof (Rabs_pos (fst u - fst v)) as P0. pose proof (Rabs_pos (snd u - snd v)) as Q0.
    assert (d * far u v <= 0) by nra. assert (h * far u v <= 0) by nra.
    apply injective_projections; apply Rminus_diag_uniq; apply Rabs_eq_0; lra. }
  assert (Fx : G z = z).
  { apply Same. apply (is_lim_seq_le (fun _ => far (G z) z)
      (fun t => L * far (o t) z + far (o (S t)) z) (far (G z) z) 0).
    - intros t. assert (C : far (G z) (o (S t)) <= L * far (o t) z).
      { replace (far (o t) z) with (far z (o t)).
        - apply contracts; [exact In|apply (stays t w0 W)].
        - unfold far, dist. rewrite (Rabs_minus_sym (fst z)), (Rabs_minus_sym (snd z)).
            reflexivity. }
      apply far_below.
      + replace (fst (G z) - fst z) with ((fst (G z) - fst (o (S t))) + (fst (o (S t)) - fst z))
          by ring.
        eapply Rle_trans; [apply Rabs_triang|].
        pose proof (first_below (G z) (o (S t))). pose proof (first_below (o (S t)) z). nra.
      + replace (snd (G z) - snd z) with ((snd (G z) - snd (o (S t))) + (snd (o (S t)) - snd z))
          by ring.
        eapply Rle_trans; [apply Rabs_triang|].
        pose proof (second_below (G z) (o (S t))). pose proof (second_below (o (S t)) z). nra.
    - apply is_lim_seq_const.
    - replace (Finite 0) with (Finite (L * 0 + 0)) by (f_equal; ring).
      apply is_lim_seq_plus'; [apply (is_lim_seq_scal_l _ L (Finite 0) Far)|].
      apply (is_lim_seq_incr_1 (fun t => far (o t) z)). exact Far. }
  exists z. split; [split; assumption|]. split.
  - intros w Iw Fw. apply Same. specialize (Fixed z In Fx w Iw 1%nat).
    unfold repeated in Fixed. simpl in Fixed. rewrite Fw in Fixed. pose proof (far_nonneg w z). nra.
  - intros w Iw t. split; [apply stays, Iw|]. apply Fixed; assumption.
Qed.
End Box.

(* A map whose Jacobian contracts: at each point of the box, along each direction. *)
Section Jacobian.
Variables (G : point -> point) (x0 x1 y0 y1 d h L : R).
Variables (gxx gxy gyx gyy : point -> R).
Hypothesis sizes : 0 < d /\ 0 < h.
Let B := inside x0 x1 y0 y1.
Hypothesis slope : forall z u, B z ->
  is_derive (fun s => fst (G (fst z + s * fst u, snd z + s * snd u))) 0
    (gxx z * fst u + gxy z * snd u) /\
  is_derive (fun s => snd (G (fst z + s * fst u, snd z + s * snd u))) 0
    (gyx z * fst u + gyy z * snd u).
Hypothesis small : forall z, B z ->
  Rabs (gxx z) * d + Rabs (gxy z) * h <= L * d /\ Rabs (gyx z) * d + Rabs (gyy z) * h <= L * h.

Lemma along (c : R -> R) (c' : R -> R) l :
  (forall s, 0 <= s <= 1 -> is_derive c s (c' s)) -> (forall s, 0 <= s <= 1 -> Rabs (c' s) <= l) ->
  Rabs (c 1 - c 0) <= l.
Proof.
  intros D S. destruct (MVT_gen c 0 1 c') as [s [I E]].
  - intros s I. rewrite Rmin_left, Rmax_right in I by lra. apply D; lra.
  - intros s I. rewrite Rmin_left, Rmax_right in I by lra.
    apply derivable_continuous_pt. exists (c' s). apply is_derive_Reals, D; lra.
  - rewrite Rmin_left, Rmax_right in I by lra. rewrite E. replace (c' s * (1 - 0)) with (c' s)
      by ring. apply S, I.
Qed.

(* mean_value: where the Jacobian's norm is at most L, the map shrinks distances by L. *)
Theorem mean_value z w : B z -> B w -> dist d h (G z) (G w) <= L * dist d h z w.
Proof.
  intros [Zx Zy] [Wx Wy]. destruct sizes as [D H].
  set (u := (fst z - fst w, snd z - snd w)).
  set (q := fun s => (fst w + s * fst u, snd w + s * snd u) : point).
  assert (In : forall s, 0 <= s <= 1 -> B (q s)).
  { intros s S. unfold q, u, B, inside; simpl.
    assert (C : forall lo hi x v, lo <= x <= hi -> lo <= v <= hi -> lo <= v + s * (x - v) <= hi).
    { intros lo hi x v X V. replace (v + s * (x - v)) with (s * x + (1 - s) * v) by ring.
      assert (s * lo <= s * x <= s * hi) by (split; apply Rmult_le_compat_l; lra).
      assert ((1 - s) * lo <= (1 - s) * v <= (1 - s) * hi)
        by (split; apply Rmult_le_compat_l; lra). lra. }
    split; apply C; lra. }
  assert (Ends : q 1 = z /\ q 0 = w).
  { unfold q, u; simpl; split; apply injective_projections; simpl; ring. }
  destruct Ends as [Q1 Q0].
  set (r := dist d h z w).
  assert (Ux : Rabs (fst u) <= d * r) by (apply (first_below d h sizes z w)).
  assert (Uy : Rabs (snd u) <= h * r) by (apply (second_below d h sizes z w)).
  assert (R0 : 0 <= r) by (apply (far_nonneg d h sizes)).
  (* the derivative at any s is that at 0 of the line from q s *)
  assert (Shift : forall (c : point -> R) s l, is_derive (fun e => c (fst (q s) + e * fst u,
    snd (q s) + e * snd u)) 0 l ->
    is_derive (fun s => c (q s)) s l).
  { intros c s l A.
    apply is_derive_ext with (fun v => (fun e => c (fst (q s) + e * fst u,
      snd (q s) + e * snd u)) (v - s)).
    - intros v. unfold q; simpl. f_equal. f_equal; ring.
    - replace l with (scal 1 l) by (unfold scal; simpl; unfold mult; simpl; ring).
      apply (is_derive_comp (fun e => c (fst (q s) + e * fst u,
        snd (q s) + e * snd u)) (fun v => v - s)).
      + replace (s - s) with 0 by ring. exact A.
      + auto_derive; [trivial|ring]. }
  apply (far_below d h sizes).
  - rewrite <- Q1, <- Q0. apply (along (fun s => fst (G (q s))) (fun s => gxx (q s) * fst u + gxy
      (q s) * snd u)).
    + intros s S. apply (Shift (fun z => fst (G z))), slope, In, S.
    + intros s S. destruct (small (q s) (In s S)) as [A _]. eapply Rle_trans; [apply Rabs_triang|].
        rewrite !Rabs_mult.
      assert (Rabs (gxx (q s)) * Rabs (fst u) <= Rabs (gxx (q s)) * (d * r))
        by (apply Rmult_le_compat_l; [apply Rabs_pos|exact Ux]).
      assert (Rabs (gxy (q s)) * Rabs (snd u) <= Rabs (gxy (q s)) * (h * r))
        by (apply Rmult_le_compat_l; [apply Rabs_pos|exact Uy]).
      apply Rmult_le_compat_r with (r := r) in A; [|exact R0]. lra.
  - rewrite <- Q1, <- Q0. apply (along (fun s => snd (G (q s))) (fun s => gyx (q s) * fst u + gyy
      (q s) * snd u)).
    + intros s S. apply (Shift (fun z => snd (G z))), slope, In, S.
    + intros s S. destruct (small (q s) (In s S)) as [_ A]. eapply Rle_trans; [apply Rabs_triang|].
        rewrite !Rabs_mult.
      assert (Rabs (gyx (q s)) * Rabs (fst u) <= Rabs (gyx (q s)) * (d * r))
        by (apply Rmult_le_compat_l; [apply Rabs_pos|exact Ux]).
      assert (Rabs (gyy (q s)) * Rabs (snd u) <= Rabs (gyy (q s)) * (h * r))
        by (apply Rmult_le_compat_l; [apply Rabs_pos|exact Uy]).
      apply Rmult_le_compat_r with (r := r) in A; [|exact R0]. lra.
Qed.
End Jacobian.
