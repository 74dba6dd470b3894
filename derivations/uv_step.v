(* T1: one step of gradient descent on f = u.v / sqrt n, for vectors of any length n, is a map
   of the two numbers f and lambda = (|u|^2 + |v|^2)/n alone (paper, section 2.1). *)
From Coq Require Import Reals Lra Psatz.
From Coquelicot Require Import Coquelicot.
From Catapult Require Import vectors.
Open Scope R_scope.

Definition output (n : nat) (u v : vec) : R := dot n u v / sqrt (INR n).
Definition kernel (n : nat) (u v : vec) : R := (dot n u u + dot n v v) / INR n.

(* One step at slope g = dl/df of the loss: each vector moves along the other one. *)
Definition push (n : nat) (eta g : R) (u v : vec) : vec := add u (scal (- (eta * g / sqrt (INR n))) v).

Section Step.
Variables (n : nat) (u v : vec).
Hypothesis wide : (0 < n)%nat.

(* The step is gradient descent: for any loss with slope g at the output, the derivative along
   any direction (h, k) is the inner product with (g v / sqrt n, g u / sqrt n). *)
Theorem uv_gradient (loss : R -> R) (g : R) (h k : vec) :
  is_derive loss (output n u v) g ->
  is_derive (fun t => loss (output n (add u (scal t h)) (add v (scal t k)))) 0
    (dot n (scal (g / sqrt (INR n)) v) h + dot n (scal (g / sqrt (INR n)) u) k).
Proof.
  intros L. pose proof (root_pos n wide) as R.
  set (slope := (dot n u k + dot n h v) / sqrt (INR n)).
  replace (dot n (scal _ v) h + dot n (scal _ u) k) with (slope * g)
    by (autorewrite with bilinear; unfold slope; rewrite (dot_sym n v h); field; lra).
  apply (is_derive_comp loss (fun t => output n (add u (scal t h)) (add v (scal t k))) 0).
  - replace (output n (add u (scal 0 h)) (add v (scal 0 k))) with (output n u v); [exact L|].
    unfold output; autorewrite with bilinear; f_equal; ring.
  - apply (is_derive_ext (fun t => (dot n u v + t * (dot n u k + dot n h v) + t^2 * dot n h k) / sqrt (INR n))).
    { intros t; unfold output; autorewrite with bilinear; f_equal; ring. }
    unfold slope; auto_derive; [exact I|field; lra].
Qed.

Section Any_loss.
Variables (eta g : R).
Let f := output n u v.
Let lam := kernel n u v.
Let u' := push n eta g u v.
Let v' := push n eta g v u.

(* f' = f - eta lam g + (eta^2/n) g^2 f, for any loss *)
Theorem T1_output : output n u' v' = f - eta * lam * g + eta^2 / INR n * g^2 * f.
Proof.
  unfold u', v', f, lam, push, output, kernel. autorewrite with bilinear.
  rewrite (dot_sym n v u). by_root wide. field; lra.
Qed.

(* lam' = lam - (4 eta/n) g f + (eta^2/n) g^2 lam, for any loss *)
Theorem T1_kernel : kernel n u' v' = lam - 4 * eta / INR n * g * f + eta^2 / INR n * g^2 * lam.
Proof.
  unfold u', v', f, lam, push, output, kernel. autorewrite with bilinear.
  rewrite (dot_sym n v u). by_root wide. field; lra.
Qed.
End Any_loss.

(* T1, squared loss with label y: with a = eta lam, p = eta (f - y)/sqrt n, k = eta y/sqrt n
   one step is a' = a - 4p(p + k) + p^2 a,  p' = p(1 - a + p(p + k)). *)
Theorem T1 (eta y : R) :
  let f := output n u v in
  let u' := push n eta (f - y) u v in
  let v' := push n eta (f - y) v u in
  let a := eta * kernel n u v in
  let p := eta * (f - y) / sqrt (INR n) in
  let k := eta * y / sqrt (INR n) in
  eta * kernel n u' v' = a - 4 * p * (p + k) + p^2 * a /\
  eta * (output n u' v' - y) / sqrt (INR n) = p * (1 - a + p * (p + k)).
Proof.
  cbv zeta. rewrite T1_output, T1_kernel. by_root wide. split; field; lra.
Qed.

(* T1 for y = 0: with b = eta^2 f^2 / n it is a' = a + b(a - 4), b' = b(1 - a + b)^2. *)
Theorem T1_unlabelled (eta : R) :
  let f := output n u v in
  let u' := push n eta f u v in
  let v' := push n eta f v u in
  let a := eta * kernel n u v in
  let b := eta^2 * f^2 / INR n in
  eta * kernel n u' v' = a + b * (a - 4) /\
  eta^2 * (output n u' v')^2 / INR n = b * (1 - a + b)^2.
Proof.
  cbv zeta. rewrite T1_output, T1_kernel. by_root wide. split; field; lra.
Qed.

(* The domain of a network: 2 |f| / sqrt n <= lam. *)
Lemma output_bound : - kernel n u v <= 2 * output n u v / sqrt (INR n) <= kernel n u v.
Proof.
  pose proof (width_pos n wide) as N.
  replace (2 * output n u v / sqrt (INR n)) with (2 * dot n u v / INR n)
    by (unfold output; by_root wide; field; lra).
  pose proof (dot_bounds n u v) as [L H]. unfold kernel, Rdiv.
  assert (I : 0 <= / INR n) by (left; apply Rinv_0_lt_compat; exact N).
  assert (0 <= (dot n u u + dot n v v + 2 * dot n u v) * / INR n) by (apply Rmult_le_pos; lra).
  assert (0 <= (dot n u u + dot n v v - 2 * dot n u v) * / INR n) by (apply Rmult_le_pos; lra).
  split; lra.
Qed.
End Step.
