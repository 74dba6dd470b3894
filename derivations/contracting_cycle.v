(* An attracting cycle of the labelled uv-model: a box of X = a + 2q, Y = a - 2q that P steps map
   into itself, with a contraction, away from the residual 0. Every orbit that enters the box goes
   to one cycle, whose loss is not 0. Statement cycle. *)
From Coq Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Catapult Require Import uv_label_map contracting_box.
Open Scope R_scope.

(* a, p and the step, at a point (X, Y). *)
Definition curvature (z : point) := (fst z + snd z) / 2.
Definition residual (k : R) (z : point) := (fst z - snd z) / 4 - k.
Definition sides (k a p : R) : point := (plus k a p, minus k a p).
Definition advance (k : R) (z : point) : point :=
  (fst z * (1 - residual k z)^2, snd z * (1 + residual k z)^2).

Lemma advance_sides k a p : advance k (sides k a p) = sides k (next_a k a p) (next_p k a p).
Proof.
  destruct (factor k a p) as [F G]. unfold advance, sides. rewrite F, G.
    unfold residual, plus, minus; simpl.
  f_equal; field.
Qed.

Lemma of_sides k a p : curvature (sides k a p) = a /\ residual k (sides k a p) = p.
Proof. unfold curvature, residual, sides, plus, minus; simpl; split; field. Qed.

(* The Jacobian of one step, and of t steps: the product along the orbit. *)
Definition matrix := (point * point)%type.
Definition row_times (r : point) (m : matrix) : point :=
  (fst r * fst (fst m) + snd r * fst (snd m), fst r * snd (fst m) + snd r * snd (snd m)).
Definition step_slope (k : R) (z : point) : matrix :=
  let p := residual k z in
  (((1 - p)^2 - fst z * (1 - p) / 2, fst z * (1 - p) / 2),
   (snd z * (1 + p) / 2, (1 + p)^2 - snd z * (1 + p) / 2)).
Fixpoint slope (k : R) (t : nat) (z : point) : matrix :=
  match t with
  | O => ((1, 0), (0, 1))
  | S j => let m := step_slope k (repeated (advance k) j z) in
           (row_times (fst m) (slope k j z), row_times (snd m) (slope k j z))
  end.

Lemma step_along k (X Y : R -> R) x' y' : is_derive X 0 x' -> is_derive Y 0 y' ->
  let m := step_slope k (X 0, Y 0) in
  is_derive (fun s => fst (advance k (X s, Y s))) 0 (fst (fst m) * x' + snd (fst m) * y') /\
  is_derive (fun s => snd (advance k (X s, Y s))) 0 (fst (snd m) * x' + snd (snd m) * y').
Proof.
  intros IX IY. pose proof (is_derive_unique X 0 x' IX) as DX.
  pose proof (is_derive_unique Y 0 y' IY) as DY.
  unfold advance, residual, step_slope; simpl. split.
  - auto_derive; [repeat split; eexists; eassumption|].
    change (Derive (fun x => X x) 0) with (Derive X 0).
      change (Derive (fun x => Y x) 0) with (Derive Y 0).
    rewrite DX, DY. unfold residual; simpl. field.
  - auto_derive; [repeat split; eexists; eassumption|].
    change (Derive (fun x => X x) 0) with (Derive X 0).
      change (Derive (fun x => Y x) 0) with (Derive Y 0).
    rewrite DX, DY. unfold residual; simpl. field.
Qed.

Lemma same_slope (c c' : R -> R) x l l' : (forall s, c s = c' s) -> is_derive c x l -> l = l' ->
  is_derive c' x l'.
Proof. intros E D H. rewrite <- H. exact (is_derive_ext c c' x l E D). Qed.

Lemma slope_is_the_jacobian k t z u :
  let at_s := fun s => repeated (advance k) t (fst z + s * fst u, snd z + s * snd u) in
  is_derive (fun s => fst (at_s s)) 0
    (fst (fst (slope k t z)) * fst u + snd (fst (slope k t z)) * snd u) /\
  is_derive (fun s => snd (at_s s)) 0
    (fst (snd (slope k t z)) * fst u + snd (snd (slope k t z)) * snd u).
Proof.
  cbv zeta. induction t as [|t [IX IY]]; [simpl; split; auto_derive; trivial; ring|].
  destruct (step_along k _ _ _ _ IX IY) as [X Y]. cbv beta in X, Y.
  rewrite <- surjective_pairing, !Rmult_0_l, !Rplus_0_r, <- surjective_pairing in X, Y.
  set (J := slope k t z) in *. set (m := step_slope k (repeated (advance k) t z)) in *.
  assert (E : slope k (S t) z = (row_times (fst m) J, row_times (snd m) J)) by reflexivity.
  rewrite E. split.
  - apply same_slope with (2 := X); [intros s; rewrite <- surjective_pairing; reflexivity|].
    unfold row_times; simpl; ring.
  - apply same_slope with (2 := Y); [intros s; rewrite <- surjective_pairing; reflexivity|].
    unfold row_times; simpl; ring.
Qed.

(* A residual that is 0 stays so. *)
Lemma residual_advance k z :
  residual k (advance k z) = residual k z * (1 - curvature z + residual k z * (residual k z + k)).
Proof. unfold advance, curvature, residual; simpl; field. Qed.

Lemma at_a_minimum k z t : residual k z = 0 -> residual k (repeated (advance k) t z) = 0.
Proof.
  intros Z. induction t as [|t IH]; [exact Z|].
  change (residual k (advance k (repeated (advance k) t z)) = 0).
  rewrite residual_advance, IH. ring.
Qed.

Lemma repeated_sum G i j z : repeated G (i + j) z = repeated G i (repeated G j z).
Proof. induction i as [|i IH]; [reflexivity|]. change (G (repeated G (i + j) z) = G (repeated G i
  (repeated G j z))). rewrite IH. reflexivity. Qed.

Lemma repeated_times G i P z : repeated G (i * P) z = repeated (repeated G P) i z.
Proof.
  induction i as [|i IH]; [reflexivity|]. simpl Nat.mul. rewrite repeated_sum, IH. reflexivity.
Qed.

(* One step is continuous. *)
Lemma advance_continuous k (z : nat -> point) x y :
  is_lim_seq (fun i => fst (z i)) (Finite x) -> is_lim_seq (fun i => snd (z i)) (Finite y) ->
  is_lim_seq (fun i => fst (advance k (z i))) (Finite (fst (advance k (x, y)))) /\
  is_lim_seq (fun i => snd (advance k (z i))) (Finite (snd (advance k (x, y)))).
Proof.
  intros X Y.
  assert (P : is_lim_seq (fun i => residual k (z i)) (residual k (x, y))).
  { unfold residual; simpl. apply is_lim_seq_minus'; [|apply is_lim_seq_const].
    apply is_lim_seq_div'; [apply is_lim_seq_minus'; assumption|apply is_lim_seq_const|lra]. }
  unfold advance; simpl. split.
  - apply is_lim_seq_mult'; [exact X|]. rewrite !Rmult_1_r.
    apply is_lim_seq_ext with (fun i => (1 - residual k (z i)) * (1 - residual k (z i))); [intros;
      ring|].
    apply is_lim_seq_mult'; (apply is_lim_seq_minus'; [apply is_lim_seq_const|exact P]).
  - apply is_lim_seq_mult'; [exact Y|]. rewrite !Rmult_1_r.
    apply is_lim_seq_ext with (fun i => (1 + residual k (z i)) * (1 + residual k (z i))); [intros;
      ring|].
    apply is_lim_seq_mult'; (apply is_lim_seq_plus'; [apply is_lim_seq_const|exact P]).
Qed.

Section Cycle.
Variables (k x0 x1 y0 y1 d h L : R) (P : nat).
Let F := advance k.
Let B := inside x0 x1 y0 y1.
Hypothesis sizes : 0 < d /\ 0 < h.
Hypothesis contraction : 0 <= L < 1.
Hypothesis into : forall z, B z -> B (repeated F P z).
Hypothesis away : forall z, B z -> residual k z <> 0.
Hypothesis small : forall z, B z ->
  Rabs (fst (fst (slope k P z))) * d + Rabs (snd (fst (slope k P z))) * h <= L * d /\
  Rabs (fst (snd (slope k P z))) * d + Rabs (snd (snd (slope k P z))) * h <= L * h.

Lemma contracts z w : B z -> B w ->
  dist d h (repeated F P z) (repeated F P w) <= L * dist d h z w.
Proof.
  intros Z W. apply (mean_value (repeated F P) x0 x1 y0 y1 d h L
    (fun z => fst (fst (slope k P z))) (fun z => snd (fst (slope k P z)))
    (fun z => fst (snd (slope k P z))) (fun z => snd (snd (slope k P z)))); try assumption.
  intros q u _. apply slope_is_the_jacobian.
Qed.

(* cycle: every orbit that is in the box at some step T goes to the cycle of one point z in it,
   a and p step by step; the residual vanishes nowhere on it, and the loss does not go to 0. *)
Theorem cycle : (exists z, B z) -> exists z, B z /\ repeated F P z = z /\
  (forall t, residual k (repeated F t z) <> 0) /\
  ((forall j w, (0 < j < P)%nat -> B w -> ~ B (repeated F j w)) ->
    forall j, (0 < j < P)%nat -> repeated F j z <> z) /\
  forall a p : nat -> R,
    (forall t, a (S t) = next_a k (a t) (p t) /\ p (S t) = next_p k (a t) (p t)) ->
    forall T, B (sides k (a T) (p T)) ->
    (forall j, is_lim_seq (fun i => a (j + i * P + T)%nat) (curvature (repeated F j z)) /\
               is_lim_seq (fun i => p (j + i * P + T)%nat) (residual k (repeated F j z))) /\
    ((0 < P)%nat -> ~ is_lim_seq p 0).
Proof.
  intros Some. destruct (fixed_point
    (repeated F P) x0 x1 y0 y1 d h L sizes contraction into contracts Some)
    as [z [[Bz Fz] [_ All]]].
  assert (Around : forall i, repeated F (i * P) z = z).
  { intros i. rewrite repeated_times. induction i as [|i IH]; [reflexivity|].
    change (repeated F P (repeated (repeated F P) i z) = z). rewrite IH. exact Fz. }
  exists z. split; [exact Bz|]. split; [exact Fz|]. split; [|split].
  - intros t N. destruct (Nat.eq_dec P O) as [P0|P0].
    + assert (fst (fst (slope k P z)) = 1 /\ snd (fst (slope k P z)) = 0) as [E1 E2]
        by (rewrite P0; simpl; split; reflexivity).
      destruct (small z Bz) as [S _]. rewrite E1, E2, Rabs_R1, Rabs_R0 in S. destruct sizes. nra.
    + apply (away z Bz). rewrite <- (Around (S t)).
      replace (S t * P)%nat with ((S t * P - t) + t)%nat by nia.
      rewrite repeated_sum. apply at_a_minimum, N.
  - intros Out j J E. apply (Out j z J Bz). rewrite E. exact Bz.
  - intros a p Step T In.
    assert (Orbit : forall i, sides k (a (i + T)%nat) (p (i + T)%nat) = repeated F i (sides k (a T)
      (p T))).
    { induction i as [|i IH]; [reflexivity|]. change (S i + T)%nat with (S (i + T)).
      destruct (Step (i + T)%nat) as [Sa Sp]. rewrite Sa, Sp, <- advance_sides, IH. reflexivity. }
    set (o := fun i => repeated F (i * P) (sides k (a T) (p T))).
    assert (Near : forall i, dist d h (o i) z <= L^i * dist d h (sides k (a T) (p T)) z).
    { intros i. unfold o. rewrite repeated_times. apply (All _ In i). }
    assert (Geo : forall c, is_lim_seq (fun i => c * (L^i * dist d h (sides k (a T) (p T)) z)) 0).
    { intros c. replace (Finite 0) with (Finite (c * (0 * dist d h (sides k (a T) (p T)) z)))
        by (f_equal; ring).
      apply (is_lim_seq_scal_l _ c (Finite _)).
      apply (is_lim_seq_scal_r _ (dist d h (sides k (a T) (p T)) z) (Finite 0)).
      apply is_lim_seq_geom. rewrite Rabs_pos_eq; lra. }
    assert (To : forall (u : nat -> R) l c, (forall i,
      Rabs (u i - l) <= c * (L^i * dist d h (sides k (a T) (p T)) z)) ->
      is_lim_seq u (Finite l)).
    { intros u l c H.
      apply is_lim_seq_ext with (fun i => (u i - l) + l); [intros; ring|].
      replace (Finite l) with (Finite (0 + l)) by (f_equal; ring).
      apply is_lim_seq_plus'; [|apply is_lim_seq_const].
      apply is_lim_seq_abs_0. apply is_lim_seq_le_le
        with (fun _ => 0) (fun i => c * (L^i * dist d h (sides k (a T) (p T)) z)).
      - intros i; split; [apply Rabs_pos|apply H].
      - apply is_lim_seq_const.
      - apply Geo. }
    destruct sizes as [D H].
    assert (Lim : forall j, is_lim_seq (fun i => fst (repeated F j (o i))) (fst (repeated F j z)) /\
                            is_lim_seq (fun i => snd (repeated F j (o i))) (snd (repeated F j z))).
    { induction j as [|j [IX IY]].
      - simpl. split.
        + apply To with d. intros i. apply Rle_trans with (1 := first_below d h sizes (o i) z).
          apply Rmult_le_compat_l; [lra|apply Near].
        + apply To with h. intros i. apply Rle_trans with (1 := second_below d h sizes (o i) z).
          apply Rmult_le_compat_l; [lra|apply Near].
      - destruct (advance_continuous k (fun i => repeated F j (o i)) _ _ IX IY) as [X Y].
        rewrite <- surjective_pairing in X, Y. split; assumption. }
    assert (Both : forall j, is_lim_seq (fun i => a (j + i * P + T)%nat) (curvature
      (repeated F j z)) /\
                             is_lim_seq (fun i => p (j + i * P + T)%nat) (residual k
                               (repeated F j z))).
    { intros j. destruct (Lim j) as [X Y].
      assert (E : forall i, repeated F j (o i) = sides k (a (j + i * P + T)%nat) (p
        (j + i * P + T)%nat)).
      { intros i. unfold o. rewrite <- repeated_sum, Orbit. reflexivity. }
      split.
      - apply is_lim_seq_ext with (fun i => curvature (repeated F j (o i))).
        + intros i. rewrite E. apply of_sides.
        + unfold curvature. apply is_lim_seq_div'; [apply is_lim_seq_plus';
            assumption|apply is_lim_seq_const|lra].
      - apply is_lim_seq_ext with (fun i => residual k (repeated F j (o i))).
        + intros i. rewrite E. apply of_sides.
        + unfold residual. apply is_lim_seq_minus'; [|apply is_lim_seq_const].
          apply is_lim_seq_div'; [apply is_lim_seq_minus'; assumption|apply is_lim_seq_const|lra]. }
    split; [exact Both|]. intros P0 N. destruct (Both O) as [_ Q].
    assert (Sub : is_lim_seq (fun i => p (0 + i * P + T)%nat) 0).
    { apply (is_lim_seq_subseq p 0 (fun i => (0 + i * P + T)%nat)); [|exact N].
      intros A [M HM]. exists M. intros i I. apply HM. nia. }
    pose proof (is_lim_seq_unique _ _ Q) as U1. pose proof (is_lim_seq_unique _ _ Sub) as U2.
    rewrite U1 in U2. injection U2 as U2. exact (away z Bz U2).
Qed.
End Cycle.
