(* The two-layer linear network trained on whitened data: the covariance C = X^T X/m of the data is
   c times the identity on the data. Statements samples-C, from which starts it converges, and
   samples-D, from which it diverges. *)
From Coq Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Catapult Require Import vectors combinations linear_step linear_network.
Open Scope R_scope.

Section Whitened.
Variables (n d m : nat) (X : nat -> vec) (eta : R).
Hypothesis wide : (0 < n)%nat.
Hypothesis some_data : (0 < m)%nat.
Variables (U0 : nat -> vec) (v0 : vec) (c : R).
Hypothesis eta_pos : 0 < eta.
Hypothesis c_pos : 0 < c.
Hypothesis whitened : forall al i, (al < m)%nat -> (i < d)%nat ->
  mean m (fun be => dot d (X be) (X al) * X be i) = c * X al i.

(* The network of linear_step.v, with its sizes, data and learning rate. *)
Local Notation hidden := (hidden d).
Local Notation out := (out n d X).
Local Notation E := (E n d m X).
Local Notation Loss := (Loss n d m X).
Local Notation Z := (Z n d m X).
Local Notation next_v := (next_v n d m X eta).
Local Notation next_U := (next_U n d m X eta).
Local Notation s := (s n).
Local Notation trCG := (trCG n d m X).
Local Notation m_pos := (m_pos m some_data).
Local Notation n_pos := (n_pos n wide).
Local Notation E_nonneg := (E_nonneg n d m X some_data).
Local Notation trCG_nonneg := (trCG_nonneg n d m X wide some_data).
Local Notation hidden_of_Z := (hidden_of_Z n d m X).
Local Notation v_hidden_Z := (v_hidden_Z n d m X wide some_data).
Local Notation Z_norm := (Z_norm n d m X).
Local Notation next_hidden := (next_hidden n d m X eta).
Local Notation next_hidden_norm := (next_hidden_norm n d m X eta wide).
Local Notation next_s := (next_s n d m X eta wide some_data).
Local Notation next_trCG := (next_trCG n d m X eta wide).
Local Notation hidden_Z_bound := (hidden_Z_bound n d m X wide some_data).

(* Its training from U0, v0, of linear_network.v. *)
Local Notation Ut := (Ut n d m X eta U0 v0).
Local Notation vt := (vt n d m X eta U0 v0).
Local Notation loss := (loss n d m X eta U0 v0).
Local Notation Ut_step := (Ut_step n d m X eta U0 v0).
Local Notation vt_step := (vt_step n d m X eta U0 v0).
Local Notation summable := (summable n d m X eta some_data U0 v0).
Local Notation s_step := (s_step n d m X eta wide some_data U0 v0 eta_pos).
Local Notation s_nonneg := (s_nonneg n wide).

(* The kernel Theta/m as a quadratic form on samples: zeta^T Theta zeta / m. *)
Definition ntk (U : nat -> vec) (v : vec) (zeta : vec) : R :=
  (s v * dot d (comb m zeta X) (comb m zeta X)
   + dot n (hidden U (comb m zeta X)) (hidden U (comb m zeta X)) / INR n) / INR m.

(* Its part from the first layer. *)
Definition layer (U : nat -> vec) (zeta : vec) : R :=
  dot n (hidden U (comb m zeta X)) (hidden U (comb m zeta X)) / INR n / INR m.

(* C Z = c Z, seen from a sample: x_alpha.Z = c f_alpha. *)
Lemma sample_Z U v al : (al < m)%nat -> dot d (X al) (Z U v) = c * out U v al.
Proof.
  intros Al. pose proof m_pos as M. pose proof (root_pos n wide) as R.
  unfold Z. rewrite dot_comb_r. unfold out at 2, hidden. rewrite dot_comb_r.
  transitivity (/ sqrt (INR n) * total d (fun i => c * X al i * dot n v (U i))).
  2: { unfold Rdiv. rewrite (total_ext d _ (fun i => c * (X al i * dot n v (U i)))) by (intros; ring).
       rewrite total_scal. ring. }
  rewrite (total_ext d _ (fun i => total m (fun be =>
    / INR m * (dot d (X be) (X al) * X be i * dot n v (U i))))).
  2: { intros i Hi. rewrite <- (whitened al i Al Hi). unfold mean, Rdiv.
       rewrite (total_ext m (fun be => / INR m * _)
         (fun be => / INR m * dot n v (U i) * (dot d (X be) (X al) * X be i))) by (intros; ring).
       rewrite total_scal. ring. }
  rewrite <- total_swap, <- total_scal. apply total_ext; intros be _.
  rewrite (dot_sym d (X al) (X be)). unfold out, hidden. rewrite dot_comb_r. unfold Rdiv.
  transitivity (/ sqrt (INR n) * (/ INR m * dot d (X be) (X al)
    * total d (fun i => X be i * dot n v (U i)))); [ring|].
  rewrite <- total_scal. f_equal. apply total_ext; intros; ring.
Qed.

(* The first layer's part falls in the direction of the outputs alone. *)
Lemma layer_step t zeta : layer (Ut (S t)) zeta = layer (Ut t) zeta
  - eta * c / (INR n * INR m) * (dot m zeta (out (Ut t) (vt t)))^2 * (2 - eta * (s (vt t) * c)).
Proof.
  unfold layer. rewrite Ut_step, next_hidden_norm. set (U := Ut t). set (v := vt t).
  assert (A : dot d (comb m zeta X) (Z U v) = c * dot m zeta (out U v)).
  { rewrite dot_comb_l. unfold dot at 2. rewrite <- total_scal. apply total_ext; intros al Al.
    rewrite (sample_Z U v al Al). ring. }
  assert (B : dot n v (hidden U (comb m zeta X)) = sqrt (INR n) * dot m zeta (out U v)).
  { rewrite (dot_ext n v _ v (comb m zeta (fun al => hidden U (X al))))
      by (intros; first [symmetry; apply comb_comb|reflexivity]).
    rewrite dot_comb_r. unfold dot at 2. rewrite <- total_scal. apply total_ext; intros al _.
    unfold out. pose proof (root_pos n wide). field; lra. }
  rewrite A, B. unfold s. pose proof m_pos as M. by_root wide. field; lra.
Qed.

(* |UZ|^2/n is the quadratic form at the outputs. *)
Lemma hidden_Z_layer U v : dot n (hidden U (Z U v)) (hidden U (Z U v)) / INR n =
  layer U (out U v) / INR m.
Proof.
  pose proof m_pos as M. unfold layer.
  assert (H : forall j, hidden U (Z U v) j = scal (/ INR m) (hidden U (comb m (out U v) X)) j).
  { intros j. unfold hidden, Z, scal, comb. rewrite <- total_scal. apply total_ext; intros i _.
    rewrite <- Rmult_assoc. f_equal. rewrite <- total_scal.
    apply total_ext; intros al _. unfold Rdiv. ring. }
  rewrite (dot_ext n _ _ _ _ (fun i _ => H i) (fun i _ => H i)). autorewrite with bilinear.
  pose proof n_pos. field. split; lra.
Qed.

Lemma s_layer_step t kappa : (forall zeta, layer (Ut t) zeta <= kappa * dot m zeta zeta) ->
  s (vt (S t)) <= s (vt t) - eta / INR n * E (Ut t) (vt t) * (2 - eta * kappa).
Proof.
  intros H. rewrite vt_step, next_s, hidden_Z_layer. pose proof n_pos as N. pose proof m_pos as M.
  specialize (H (out (Ut t) (vt t))).
  assert (Q : layer (Ut t) (out (Ut t) (vt t)) / INR m <= kappa * E (Ut t) (vt t)).
  { unfold E, mean. unfold dot in H. apply Rmult_le_reg_r with (INR m); [exact M|].
    unfold Rdiv. rewrite Rmult_assoc, Rinv_l, Rmult_1_r by lra.
    rewrite Rmult_assoc, Rmult_assoc, Rinv_l, Rmult_1_r by lra. exact H. }
  assert (C : 0 <= eta / INR n * eta) by (apply Rmult_le_pos; [apply Rdiv_le_0_compat; lra|lra]).
  apply Rmult_le_compat_l with (1 := C) in Q. lra.
Qed.

(* samples-C, whitened data: eta max(c s, lambda_max of the first layer's kernel) < 2 at the start
   implies that s and that kernel never grow, that the sum of the losses is finite, and that the
   loss goes to 0. *)
Theorem samples_C (kappa : R) : eta * (s v0 * c) <= 2 -> eta * kappa < 2 ->
  (forall zeta, layer U0 zeta <= kappa * dot m zeta zeta) ->
  (forall t, s (vt (S t)) <= s (vt t) /\ forall zeta, layer (Ut (S t)) zeta <= layer (Ut t) zeta) /\
  (forall T, sum_f_R0 loss T <= s v0 / (2 * (eta / INR n) * (2 - eta * kappa))) /\
  is_lim_seq loss 0.
Proof.
  intros HS HK K0. pose proof n_pos as N. pose proof m_pos as M.
  assert (Q : 0 < eta / INR n) by (apply Rdiv_lt_0_compat; assumption).
  assert (Step : forall t, s (vt t) <= s v0 -> (forall zeta, layer (Ut t) zeta <= layer U0 zeta) ->
    (s (vt (S t)) <= s (vt t) /\ forall zeta, layer (Ut (S t)) zeta <= layer (Ut t) zeta) /\
    2 * (eta / INR n) * (2 - eta * kappa) * loss t <= s (vt t) - s (vt (S t))).
  { intros t A B. pose proof (E_nonneg (Ut t) (vt t)) as E0.
    assert (Sb : s (vt (S t)) <= s (vt t) - eta / INR n * E (Ut t) (vt t) * (2 - eta * kappa)).
    { apply s_layer_step. intros zeta. apply Rle_trans with (1 := B zeta). apply K0. }
    assert (P : 0 <= eta / INR n * E (Ut t) (vt t) * (2 - eta * kappa))
      by (apply Rmult_le_pos; [apply Rmult_le_pos; lra|lra]).
    split; [split; [lra|]|unfold loss, Loss; lra].
    intros zeta. rewrite layer_step.
    assert (HA : eta * (s (vt t) * c) <= 2).
    { apply Rle_trans with (2 := HS). apply Rmult_le_compat_l; [lra|].
      apply Rmult_le_compat_r; lra. }
    assert (D : 0 <= eta * c / (INR n * INR m)).
    { apply Rdiv_le_0_compat; [apply Rmult_le_pos; lra|apply Rmult_lt_0_compat; assumption]. }
    assert (0 <= eta * c / (INR n * INR m) * (dot m zeta (out (Ut t) (vt t)))^2
                 * (2 - eta * (s (vt t) * c))); [|lra].
    apply Rmult_le_pos; [|lra]. apply Rmult_le_pos; [exact D|apply pow2_ge_0]. }
  assert (All : forall t, s (vt t) <= s v0 /\ forall zeta, layer (Ut t) zeta <= layer U0 zeta).
  { induction t as [|t [A B]]; [split; [|intros]; apply Rle_refl|].
    destruct (Step t A B) as [[C D] _]. split; [lra|].
    intros zeta. apply Rle_trans with (2 := B zeta). apply D. }
  assert (St : forall t, (s (vt (S t)) <= s (vt t) /\
      forall zeta, layer (Ut (S t)) zeta <= layer (Ut t) zeta) /\
      2 * (eta / INR n) * (2 - eta * kappa) * loss t <= s (vt t) - s (vt (S t)))
    by (intros t; apply Step; apply All).
  split; [intros t; apply St|].
  apply (summable (fun t => s (vt t))); [|intros; apply s_nonneg|intros t; apply St].
  apply Rmult_lt_0_compat; lra.
Qed.

(* samples-C in terms of the tangent kernel: on whitened data with one sample that is not 0,
   eta lambda_max(Theta_0/m) < 2 implies that the kernel never grows on any direction, and that
   the loss goes to 0, from any start: no smallness, at any width. *)
Theorem samples_C_kernel (lam : R) : eta * lam < 2 ->
  (forall zeta, ntk U0 v0 zeta <= lam * dot m zeta zeta) ->
  (exists al, (al < m)%nat /\ 0 < dot d (X al) (X al)) ->
  (forall t zeta, ntk (Ut (S t)) (vt (S t)) zeta <= ntk (Ut t) (vt t) zeta) /\ is_lim_seq loss 0.
Proof.
  intros HL L0 [al [Al Pos]]. pose proof n_pos as N. pose proof m_pos as M.
  assert (Split : forall U v zeta,
    ntk U v zeta = s v * dot d (comb m zeta X) (comb m zeta X) / INR m + layer U zeta).
  { intros. unfold ntk, layer. field. split; lra. }
  assert (Lay : forall zeta, layer U0 zeta <= lam * dot m zeta zeta).
  { intros zeta. apply Rle_trans with (2 := L0 zeta). rewrite Split.
    assert (0 <= s v0 * dot d (comb m zeta X) (comb m zeta X) / INR m); [|lra].
    apply Rdiv_le_0_compat; [|exact M]. apply Rmult_le_pos; [apply s_nonneg|apply dot_nonneg]. }
  assert (Top : s v0 * c <= lam).
  { (* at zeta = X x_alpha, an eigenvector of X X^T/m with eigenvalue c *)
    set (zeta := fun be => dot d (X be) (X al)).
    assert (Zz : forall i, (i < d)%nat -> comb m zeta X i = INR m * c * X al i).
    { intros i Hi. transitivity (INR m * mean m (fun be => dot d (X be) (X al) * X be i)).
      - unfold comb, mean, zeta. field; lra.
      - rewrite (whitened al i Al Hi). ring. }
    assert (Z1 : dot d (comb m zeta X) (comb m zeta X) = INR m * c * dot m zeta zeta).
    { rewrite dot_comb_l. unfold dot at 2. rewrite <- total_scal. apply total_ext; intros be _.
      rewrite (dot_ext d (X be) _ (X be) (scal (INR m * c) (X al)))
        by (intros; first [apply Zz; assumption|reflexivity]).
      autorewrite with bilinear. unfold zeta. ring. }
    assert (Zp : 0 < dot m zeta zeta).
    { pose proof (dot_nonneg m zeta) as [P|P]; [exact P|exfalso].
      assert (Y : dot d (comb m zeta X) (X al) = INR m * c * dot d (X al) (X al)).
      { rewrite (dot_ext d _ _ (scal (INR m * c) (X al)) (X al))
          by (intros; first [apply Zz; assumption|reflexivity]).
        autorewrite with bilinear. reflexivity. }
      pose proof (cauchy_schwarz d (comb m zeta X) (X al)) as CS.
      rewrite Z1, <- P, Y in CS.
      assert (0 < INR m * c * dot d (X al) (X al)) by (repeat apply Rmult_lt_0_compat; assumption).
      nra. }
    assert (La : 0 <= layer U0 zeta).
    { unfold layer. apply Rdiv_le_0_compat; [|exact M].
      apply Rdiv_le_0_compat; [apply dot_nonneg|exact N]. }
    pose proof (L0 zeta) as H. rewrite Split, Z1 in H.
    replace (s v0 * (INR m * c * dot m zeta zeta) / INR m) with (s v0 * c * dot m zeta zeta) in H
      by (field; lra).
    apply Rmult_le_reg_r with (dot m zeta zeta); [exact Zp|lra]. }
  assert (HS : eta * (s v0 * c) <= 2).
  { apply Rle_trans with (eta * lam); [apply Rmult_le_compat_l; lra|lra]. }
  destruct (samples_C lam HS HL Lay) as [Mono [_ Lim]]. split; [|exact Lim].
  intros t zeta. rewrite !Split. destruct (Mono t) as [A B]. specialize (B zeta).
  assert (s (vt (S t)) * dot d (comb m zeta X) (comb m zeta X) / INR m
          <= s (vt t) * dot d (comb m zeta X) (comb m zeta X) / INR m); [|lra].
  unfold Rdiv. apply Rmult_le_compat_r; [left; apply Rinv_0_lt_compat, M|].
  apply Rmult_le_compat_r; [apply dot_nonneg|exact A].
Qed.

(* --- divergence on whitened data --- *)

(* The dimensionless loss and weights. *)
Definition energy t := eta^2 * c * E (Ut t) (vt t) / INR n.
Definition size t := eta * (c * s (vt t) + trCG (Ut t)).

Lemma Z_norm_whitened U v : dot d (Z U v) (Z U v) = c * E U v /\
  mean m (fun al => dot d (X al) (Z U v) * dot d (X al) (Z U v)) = c^2 * E U v.
Proof.
  split.
  - rewrite Z_norm. unfold E. rewrite <- mean_scal. apply mean_ext. intros al Al.
    rewrite (sample_Z U v al Al). ring.
  - unfold E. rewrite <- mean_scal. apply mean_ext. intros al Al. rewrite (sample_Z U v al Al). ring.
Qed.

(* f' = f (1 + eta^2 c E/n - eta c s) - (eta/n) <UZ, U x> *)
Lemma next_out U v al : (al < m)%nat -> out (next_U U v) (next_v U v) al =
  out U v al * (1 + eta^2 * c * E U v / INR n - eta * c * s v)
  - eta * (dot n (hidden U (Z U v)) (hidden U (X al)) / INR n).
Proof.
  intros Al. unfold out at 1.
  rewrite (dot_ext n _ _ (next_v U v) _ (fun i _ => eq_refl) (fun i _ => next_hidden U v (X al) i)).
  rewrite (sample_Z U v al Al). unfold next_v. autorewrite with bilinear.
  rewrite (dot_sym n (hidden U (Z U v)) v), v_hidden_Z. unfold s.
  replace (dot n v (hidden U (X al))) with (sqrt (INR n) * out U v al)
    by (unfold out; pose proof (root_pos n wide); field; lra).
  by_root wide. field; lra.
Qed.

(* mean f_alpha <UZ, U x_alpha> = |UZ|^2 *)
Lemma mean_hidden U v :
  mean m (fun al => out U v al * dot n (hidden U (Z U v)) (hidden U (X al)))
  = dot n (hidden U (Z U v)) (hidden U (Z U v)).
Proof.
  symmetry. rewrite (dot_ext n _ (hidden U (Z U v)) (hidden U (Z U v)) _
    (fun i _ => eq_refl) (fun i _ => hidden_of_Z U v i)).
  rewrite dot_comb_r. unfold mean. pose proof m_pos as M.
  transitivity (/ INR m * total m (fun al => out U v al * dot n (hidden U (Z U v)) (hidden U (X al))));
    [|unfold Rdiv; ring].
  rewrite <- total_scal. apply total_ext; intros al _. unfold Rdiv. ring.
Qed.

Lemma energy_step t : let r := 1 + energy t - eta * c * s (vt t) in
  0 <= r -> energy t * (r * (r - 2 * (eta * trCG (Ut t)))) <= energy (S t).
Proof.
  intros r R0. set (U := Ut t) in *. set (v := vt t) in *.
  assert (F : forall al, (al < m)%nat -> out (next_U U v) (next_v U v) al =
    out U v al * r - eta * (dot n (hidden U (Z U v)) (hidden U (X al)) / INR n))
    by (intros al Al; exact (next_out U v al Al)).
  set (q := fun al => dot n (hidden U (Z U v)) (hidden U (X al))).
  set (Q := dot n (hidden U (Z U v)) (hidden U (Z U v))).
  pose proof n_pos as N. pose proof (E_nonneg U v) as E0.
  assert (Low : r^2 * E U v - 2 * r * eta * (Q / INR n) <= E (Ut (S t)) (vt (S t))).
  { rewrite Ut_step, vt_step. fold U v. unfold E at 2.
    rewrite (mean_ext m _ (fun al => r^2 * (out U v al * out U v al)
      + (- (2 * r * eta / INR n) * (out U v al * q al) + (eta / INR n)^2 * (q al * q al))))
      by (intros al Al; rewrite (F al Al); unfold q; field; lra).
    rewrite !mean_plus, !mean_scal. fold (E U v).
    unfold q at 1. rewrite mean_hidden. fold Q.
    assert (0 <= (eta / INR n)^2 * mean m (fun al => q al * q al)).
    { apply Rmult_le_pos; [apply pow2_ge_0|].
      apply mean_nonneg; [exact some_data|intros; apply Rle_0_sqr]. }
    replace (2 * r * eta * (Q / INR n)) with (2 * r * eta / INR n * Q) by (field; lra). lra. }
  pose proof (hidden_Z_bound U v) as H. fold Q in H.
  assert (P : 0 <= 2 * r * eta) by (apply Rmult_le_pos; lra).
  apply Rmult_le_compat_l with (1 := P) in H.
  assert (K : 0 <= eta^2 * c / INR n).
  { apply Rdiv_le_0_compat; [apply Rmult_le_pos; [apply pow2_ge_0|lra]|exact N]. }
  assert (G : eta^2 * c / INR n * (E U v * (r * (r - 2 * (eta * trCG U))))
              <= eta^2 * c / INR n * E (Ut (S t)) (vt (S t)))
    by (apply Rmult_le_compat_l; [exact K|lra]).
  unfold energy. fold U v.
  replace (eta^2 * c * E U v / INR n * (r * (r - 2 * (eta * trCG U))))
    with (eta^2 * c / INR n * (E U v * (r * (r - 2 * (eta * trCG U))))) by (field; lra).
  replace (eta^2 * c * E (Ut (S t)) (vt (S t)) / INR n)
    with (eta^2 * c / INR n * E (Ut (S t)) (vt (S t))) by (field; lra).
  exact G.
Qed.

Lemma size_step t : size (S t) <= size t - energy t * (4 - size t).
Proof.
  unfold size. pose proof (s_step t) as A. rewrite Ut_step, next_trCG.
  destruct (Z_norm_whitened (Ut t) (vt t)) as [Z1 Z2]. rewrite Z1, Z2. unfold energy.
  assert (K : 0 <= eta * c) by (apply Rmult_le_pos; lra).
  apply Rmult_le_compat_l with (1 := K) in A. pose proof n_pos as N.
  replace (eta^2 * c * E (Ut t) (vt t) / INR n * (4 - eta * (c * s (vt t) + trCG (Ut t))))
    with (eta * c * (eta / INR n * E (Ut t) (vt t) * (2 - eta * trCG (Ut t)))
      + eta * (eta / INR n * (2 * (c * E (Ut t) (vt t)) - eta * s (vt t) * (c^2 * E (Ut t) (vt t)))))
    by (field; lra).
  lra.
Qed.

(* samples-D, whitened data: once the dimensionless loss is at least 1 and four times the size of
   the weights, it at least doubles at every step: the loss goes to infinity. *)
Theorem samples_D : 1 <= energy O -> 4 * size O <= energy O ->
  (forall t, 2 * loss t <= loss (S t)) /\ (forall t, 2^t <= energy t) /\ is_lim_seq loss p_infty.
Proof.
  intros E1 N1. pose proof n_pos as N.
  assert (Step : forall t, 2^t <= energy t -> 4 * size t <= energy t ->
    2 * energy t <= energy (S t) /\ 4 * size (S t) <= energy (S t)).
  { intros t A B.
    assert (P1 : 1 <= 2^t) by (apply pow_R1_Rle; lra).
    set (e := energy t) in *. assert (e1 : 1 <= e) by lra.
    assert (S0 : 0 <= eta * c * s (vt t))
      by (apply Rmult_le_pos; [apply Rmult_le_pos; lra|apply s_nonneg]).
    assert (T0 : 0 <= eta * trCG (Ut t)) by (apply Rmult_le_pos; [lra|apply trCG_nonneg]).
    assert (Sz : size t = eta * c * s (vt t) + eta * trCG (Ut t)) by (unfold size; ring).
    set (x := eta * c * s (vt t)) in *. set (y := eta * trCG (Ut t)) in *.
    pose proof (energy_step t) as G. cbv zeta in G. fold e x y in G.
    specialize (G ltac:(lra)).
    assert (R1 : 1 + 3/4 * e <= 1 + e - x) by lra.
    assert (R2 : 1 + e/2 <= 1 + e - x - 2 * y) by lra.
    assert (R3 : (1 + 3/4 * e) * (1 + e/2) <= (1 + e - x) * (1 + e - x - 2 * y))
      by (apply Rmult_le_compat; lra).
    assert (Up : e * (1 + e) <= energy (S t)).
    { apply Rle_trans with (2 := G). apply Rmult_le_compat_l; [lra|]. nra. }
    pose proof (size_step t) as Sn. fold e in Sn.
    assert (e * size t <= e * (e/4)) by (apply Rmult_le_compat_l; lra).
    assert (e * 1 <= e * e) by (apply Rmult_le_compat_l; lra).
    split; lra. }
  assert (I : forall t, 2^t <= energy t /\ 4 * size t <= energy t).
  { induction t as [|t [A B]]; [simpl; split; lra|].
    destruct (Step t A B) as [C D]. simpl pow. split; lra. }
  set (K := INR n / (2 * (eta^2 * c))).
  assert (K0 : 0 < K).
  { apply Rdiv_lt_0_compat; [exact N|]. repeat apply Rmult_lt_0_compat; lra. }
  assert (KE : forall t, loss t = K * energy t)
    by (intros t; unfold K, energy, loss, Loss; field; split; lra).
  split; [|split; [intros t; apply I|]].
  { intros t. destruct (I t) as [A B]. destruct (Step t A B) as [C _]. rewrite !KE.
    apply Rmult_le_compat_l with (r := K) in C; lra. }
  apply is_lim_seq_le_p_loc with (fun t => K * 2^t).
  - exists O. intros t _. rewrite KE.
    apply Rmult_le_compat_l; [lra|apply I].
  - replace p_infty with (Rbar_mult (Finite K) p_infty).
    + apply is_lim_seq_scal_l, is_lim_seq_geom_p. lra.
    + apply is_Rbar_mult_unique. apply is_Rbar_mult_sym, is_Rbar_mult_p_infty_pos. exact K0.
Qed.
End Whitened.
