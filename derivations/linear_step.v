(* The two-layer linear network on m samples with one output and labels 0,
     f_alpha = v.(U x_alpha) / sqrt n,   L = (1/2m) sum_alpha f_alpha^2,
   with v and the d columns U_i of U vectors of any length n, and one step of gradient descent
   on it: what becomes of the invariants |v|^2, |U|_F^2 and tr(CG). Statement samples-step. *)
From Coq Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Catapult Require Import vectors combinations.
Open Scope R_scope.

Section Network.
Variables (n d m : nat) (X : nat -> vec) (eta : R).
Hypothesis wide : (0 < n)%nat.
Hypothesis some_data : (0 < m)%nat.

(* The hidden layer on an input z, and the output on sample alpha. *)
Definition hidden (U : nat -> vec) (z : vec) : vec := comb d z U.
Definition out (U : nat -> vec) (v : vec) (alpha : nat) : R :=
  dot n v (hidden U (X alpha)) / sqrt (INR n).

(* E = mean f^2 is twice the loss. *)
Definition E (U : nat -> vec) (v : vec) : R := mean m (fun al => out U v al * out U v al).
Definition Loss U v : R := E U v / 2.

(* Z = dL/dW = (1/m) sum_alpha f_alpha x_alpha, a vector of length d. *)
Definition Z (U : nat -> vec) (v : vec) : vec :=
  comb m (fun al => out U v al / INR m) X.

Definition next_v (U : nat -> vec) (v : vec) : vec :=
  add v (scal (- (eta / sqrt (INR n))) (hidden U (Z U v))).
Definition next_U (U : nat -> vec) (v : vec) : nat -> vec :=
  fun i => add (U i) (scal (- (eta / sqrt (INR n) * Z U v i)) v).

(* The invariants: s = |v|^2/n, |U|_F^2, and tr(CG) = mean |U x_alpha|^2 / n. *)
Definition s (v : vec) : R := dot n v v / INR n.
Definition frobenius (U : nat -> vec) : R := total d (fun i => dot n (U i) (U i)).
Definition trCG (U : nat -> vec) : R :=
  mean m (fun al => dot n (hidden U (X al)) (hidden U (X al))) / INR n.

Lemma m_pos : 0 < INR m. Proof. apply width_pos, some_data. Qed.
Lemma n_pos : 0 < INR n. Proof. apply width_pos, wide. Qed.

Section One_step.
Variables (U : nat -> vec) (v : vec).

Let f := out U v.
Let z := Z U v.
Let h al := dot d (X al) z.

Lemma E_nonneg : 0 <= E U v.
Proof. apply mean_nonneg; [exact some_data|intros; apply Rle_0_sqr]. Qed.

Lemma trCG_nonneg : 0 <= trCG U.
Proof.
  apply Rdiv_le_0_compat; [|exact n_pos]. apply mean_nonneg; [exact some_data|].
  intros; apply dot_nonneg.
Qed.

(* On any input w: <v, U z> = (1/m) sum f_alpha <v, U x_alpha> and so on. *)
Lemma hidden_of_Z j : hidden U z j = comb m (fun al => f al / INR m) (fun al => hidden U (X al)) j.
Proof. unfold hidden, z, Z. symmetry. apply comb_comb. Qed.

Lemma v_hidden_Z : dot n v (hidden U z) = sqrt (INR n) * E U v.
Proof.
  rewrite (dot_ext n v (hidden U z) v (comb m (fun al => f al / INR m) (fun al => hidden U (X al))))
    by (intros; first [apply hidden_of_Z|reflexivity]).
  rewrite dot_comb_r. unfold E, mean. pose proof (root_pos n wide) as R. pose proof m_pos as M.
  transitivity (sqrt (INR n) * / INR m * total m (fun al => f al * f al));
    [|unfold f, Rdiv; ring].
  rewrite <- total_scal. apply total_ext; intros al _.
  replace (dot n v (hidden U (X al))) with (sqrt (INR n) * f al) by (unfold f, out; field; lra).
  field; lra.
Qed.

Lemma Z_norm : dot d z z = mean m (fun al => f al * h al).
Proof.
  unfold z at 1, Z. rewrite dot_comb_l. unfold mean.
  transitivity (/ INR m * total m (fun al => f al * h al)); [|unfold Rdiv; ring].
  rewrite <- total_scal. apply total_ext; intros. unfold h, f, Rdiv. ring.
Qed.

(* |v'|^2 = |v|^2 - 2 eta E + (eta^2/n) |UZ|^2 *)
Lemma next_v_norm : dot n (next_v U v) (next_v U v) =
  dot n v v - 2 * eta * E U v + eta^2 / INR n * dot n (hidden U z) (hidden U z).
Proof.
  unfold next_v. fold z. autorewrite with bilinear.
  rewrite (dot_sym n (hidden U z) v), v_hidden_Z. by_root wide. field; lra.
Qed.

(* |U'w|^2 = |Uw|^2 - 2 (eta/sqrt n) (w.Z) <v, Uw> + (eta^2/n) (w.Z)^2 |v|^2 on any input w *)
Lemma next_hidden w j : hidden (next_U U v) w j =
  add (hidden U w) (scal (- (eta / sqrt (INR n) * dot d w z)) v) j.
Proof.
  unfold hidden, next_U, comb, add, scal, dot. fold z.
  rewrite (total_ext d _ (fun i => w i * U i j + - (eta / sqrt (INR n)) * v j * (w i * z i)))
    by (intros; ring).
  rewrite total_plus, total_scal. ring.
Qed.

Lemma next_hidden_norm w : dot n (hidden (next_U U v) w) (hidden (next_U U v) w) =
  dot n (hidden U w) (hidden U w)
  - 2 * (eta / sqrt (INR n)) * dot d w z * dot n v (hidden U w)
  + eta^2 / INR n * (dot d w z)^2 * dot n v v.
Proof.
  rewrite (dot_ext n _ _ _ _ (fun i _ => next_hidden w i) (fun i _ => next_hidden w i)).
  autorewrite with bilinear. rewrite (dot_sym n (hidden U w) v). by_root wide. field; lra.
Qed.

(* |U'|_F^2 = |U|_F^2 - 2 eta E + (eta^2/n) |Z|^2 |v|^2 *)
Lemma next_frobenius : frobenius (next_U U v) =
  frobenius U - 2 * eta * E U v + eta^2 / INR n * dot d z z * dot n v v.
Proof.
  pose proof v_hidden_Z as H. unfold hidden in H. rewrite dot_comb_r in H.
  unfold frobenius, next_U. fold z.
  rewrite (total_ext d _ (fun i => dot n (U i) (U i)
    + (- (2 * (eta / sqrt (INR n))) * (z i * dot n v (U i))
       + eta^2 / INR n * dot n v v * (z i * z i)))).
  - rewrite total_plus, total_plus, !total_scal, H.
    change (total d (fun i => z i * z i)) with (dot d z z). by_root wide. field; lra.
  - intros. autorewrite with bilinear. rewrite (dot_sym n (U i) v). by_root wide. field; lra.
Qed.

(* s' = s - (2 eta/n) E + (eta^2/n) |UZ|^2/n *)
Lemma next_s : s (next_v U v) =
  s v - eta / INR n * (2 * E U v - eta * (dot n (hidden U z) (hidden U z) / INR n)).
Proof. unfold s. rewrite next_v_norm. pose proof n_pos. field; lra. Qed.

(* tr(CG)' = tr(CG) - (eta/n) (2 |Z|^2 - eta s Z^T C Z) *)
Lemma next_trCG : trCG (next_U U v) =
  trCG U - eta / INR n * (2 * dot d z z - eta * s v * mean m (fun al => h al * h al)).
Proof.
  unfold trCG.
  rewrite (mean_ext m _ (fun al => dot n (hidden U (X al)) (hidden U (X al))
    + (- 2 * eta * (f al * h al) + eta^2 * s v * (h al * h al)))).
  - rewrite mean_plus, mean_plus, !mean_scal, Z_norm. pose proof n_pos. field; lra.
  - intros al _. rewrite next_hidden_norm. fold (h al). unfold f, out, s. by_root wide. field; lra.
Qed.

(* |UZ|^2/n <= E tr(CG) *)
Lemma hidden_Z_bound : dot n (hidden U z) (hidden U z) / INR n <= E U v * trCG U.
Proof.
  rewrite (dot_ext n _ _ _ _ (fun i _ => hidden_of_Z i) (fun i _ => hidden_of_Z i)).
  pose proof (comb_bound n m (fun al => f al / INR m) (fun al => hidden U (X al))) as H.
  assert (S : dot m (fun al => f al / INR m) (fun al => f al / INR m) = E U v / INR m).
  { unfold E, mean, dot. pose proof m_pos. unfold Rdiv at 3 4.
    rewrite (total_ext m _ (fun al => / INR m * / INR m * (out U v al * out U v al)))
      by (intros; unfold f; field; lra).
    rewrite total_scal. ring. }
  rewrite S in H. pose proof n_pos as N. pose proof m_pos as M. unfold trCG, mean.
  apply Rmult_le_reg_r with (INR n); [exact N|].
  unfold Rdiv at 1. rewrite Rmult_assoc, Rinv_l, Rmult_1_r by lra.
  apply Rle_trans with (1 := H). right. field. split; lra.
Qed.

(* |UZ|^2 <= |Z|^2 |U|_F^2 *)
Lemma hidden_Z_frobenius : dot n (hidden U z) (hidden U z) <= dot d z z * frobenius U.
Proof. apply comb_bound. Qed.

(* The step is gradient descent on L: along any direction (H, h) the derivative of the loss is the
   inner product with (Z_i v / sqrt n, U Z / sqrt n). *)
Theorem samples_gradient (H : nat -> vec) (g : vec) :
  is_derive (fun t => Loss (fun i => add (U i) (scal t (H i))) (add v (scal t g))) 0
    (dot n (scal (/ sqrt (INR n)) (hidden U z)) g
     + total d (fun i => dot n (scal (z i / sqrt (INR n)) v) (H i))).
Proof.
  pose proof (root_pos n wide) as R. pose proof m_pos as M.
  set (A := fun al => dot n v (hidden U (X al))).
  set (B := fun al => dot n g (hidden U (X al)) + dot n v (hidden H (X al))).
  set (D := fun al => dot n g (hidden H (X al))).
  assert (Moved : forall t al,
    out (fun i => add (U i) (scal t (H i))) (add v (scal t g)) al
    = (A al + t * B al + t^2 * D al) / sqrt (INR n)).
  { intros t al. unfold out.
    rewrite (dot_ext n (add v (scal t g)) _ (add v (scal t g))
      (add (hidden U (X al)) (scal t (hidden H (X al))))).
    - autorewrite with bilinear. unfold A, B, D. f_equal. ring.
    - reflexivity.
    - intros j _. unfold hidden, comb, add, scal. rewrite <- total_scal, <- total_plus.
      apply total_ext; intros; ring. }
  assert (Polynomial : forall t, / (2 * INR m) * total m (fun al =>
      ((A al + t * B al + t^2 * D al) / sqrt (INR n))^2)
    = Loss (fun i => add (U i) (scal t (H i))) (add v (scal t g))).
  { intros t. unfold Loss, E, mean.
    rewrite (total_ext m (fun al => out _ _ al * _) (fun al =>
      ((A al + t * B al + t^2 * D al) / sqrt (INR n))^2)) by (intros; rewrite Moved; ring).
    field; lra. }
  apply (is_derive_ext (fun t => / (2 * INR m) * total m (fun al =>
    ((A al + t * B al + t^2 * D al) / sqrt (INR n))^2)) _ _ _ Polynomial).
  replace (dot n _ g + _) with (/ (2 * INR m) * total m (fun al => 2 * f al * B al / sqrt (INR n))).
  - apply (is_derive_scal (fun t => total m (fun al =>
      ((A al + t * B al + t^2 * D al) / sqrt (INR n))^2))).
    apply (is_derive_total m (fun al t => ((A al + t * B al + t^2 * D al) / sqrt (INR n))^2)).
    intros al. unfold f, out. fold (A al). auto_derive; [exact I|field; lra].
  - rewrite (total_ext d _ (fun i => / sqrt (INR n) * (z i * dot n v (H i))))
      by (intros; autorewrite with bilinear; field; lra).
    rewrite total_scal, <- (dot_comb_r n d z H v), dot_scal_l.
    rewrite (dot_ext n (hidden U z) g (comb m (fun al => f al / INR m) (fun al => hidden U (X al))) g)
      by (intros; first [apply hidden_of_Z|reflexivity]).
    rewrite (dot_ext n v (comb d z H) v (comb m (fun al => f al / INR m) (fun al => hidden H (X al))))
      by (intros; first [symmetry; apply comb_comb|reflexivity]).
    rewrite dot_comb_l, dot_comb_r, <- !total_scal, <- total_plus.
    apply total_ext; intros al _. unfold B. rewrite (dot_sym n g (hidden U (X al))). field. split; lra.
Qed.

Variable c : R.
Hypothesis c_pos : 0 < c.
Hypothesis covariance : forall w, mean m (fun al => dot d (X al) w * dot d (X al) w) <= c * dot d w w.

(* Z^T C Z <= c |Z|^2 and |Z|^2 <= c E *)
Lemma Z_bound : dot d z z <= c * E U v.
Proof.
  pose proof (mean_cauchy_schwarz m f h some_data) as H. rewrite <- Z_norm in H.
  pose proof (covariance z) as C. fold h in C. pose proof (dot_nonneg d z) as P.
  pose proof E_nonneg as E0. change (mean m (fun i => f i * f i)) with (E U v) in H.
  assert (Q : (dot d z z)^2 <= E U v * (c * dot d z z)).
  { apply Rle_trans with (1 := H). apply Rmult_le_compat_l; [exact E0|exact C]. }
  destruct P as [P|P]; [nra|]. rewrite <- P. apply Rmult_le_pos; lra.
Qed.

Lemma ZCZ_bound : mean m (fun al => h al * h al) <= c * dot d z z.
Proof. apply covariance. Qed.
End One_step.
End Network.
