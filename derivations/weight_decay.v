(* wd: the uv-model without a label under weight decay. With r = 1 - eta omega and
   x = eta f/sqrt n the step on vectors is u' = r u - x v, v' = r v - x u, so that
   a' = r^2 a - 4 r x^2 + x^2 a on |x| <= a/2. *)
From Coq Require Import Reals Lra Psatz.
From Catapult Require Import vectors uv_step.
Open Scope R_scope.

Definition decayed (r a x : R) := r^2 * a - 4 * r * x^2 + x^2 * a.

(* The map, from the step on vectors of any length. *)
Theorem wd_step n (u v : vec) (eta omega : R) : (0 < n)%nat ->
  let f := output n u v in
  let r := 1 - eta * omega in
  let x := eta * f / sqrt (INR n) in
  let u' := add (scal r u) (scal (- x) v) in
  let v' := add (scal r v) (scal (- x) u) in
  eta * kernel n u' v' = decayed r (eta * kernel n u v) x.
Proof.
  intros wide. cbv zeta. unfold decayed, kernel, output. autorewrite with bilinear.
  rewrite (dot_sym n v u). by_root wide. field; lra.
Qed.

(* wd: below 4 - 2 eta omega the curvature falls at every step. *)
Theorem wd r a x : 0 <= r < 1 -> 0 < a < 2 * (1 + r) -> x^2 <= a^2 / 4 -> decayed r a x < a.
Proof.
  intros R A H. unfold decayed. pose proof (pow2_ge_0 x).
  destruct (Rle_dec a (4 * r)) as [D|D].
  - assert (0 <= x^2 * (4 * r - a)) by (apply Rmult_le_pos; lra).
    assert (r^2 < 1) by nra. nra.
  - assert (0 <= (a^2 / 4 - x^2) * (a - 4 * r)) by (apply Rmult_le_pos; lra).
    assert ((r - a / 2)^2 < 1) by nra. nra.
Qed.

(* wd on networks: eta lam < 4 - 2 eta omega implies lam' < lam, at every width. *)
Theorem wd_network n (u v : vec) (eta omega : R) : (0 < n)%nat ->
  0 < eta -> 0 < eta * omega <= 1 -> 0 < kernel n u v -> eta * kernel n u v < 4 - 2 * (eta * omega) ->
  let x := eta * output n u v / sqrt (INR n) in
  let u' := add (scal (1 - eta * omega) u) (scal (- x) v) in
  let v' := add (scal (1 - eta * omega) v) (scal (- x) u) in
  kernel n u' v' < kernel n u v.
Proof.
  intros wide E W K H. cbv zeta. apply Rmult_lt_reg_l with eta; [exact E|].
  rewrite (wd_step n u v eta omega wide). cbv zeta.
  apply wd; [lra|split; [apply Rmult_lt_0_compat; assumption|lra]|].
  destruct (output_bound n u v wide) as [L U].
  set (q := output n u v / sqrt (INR n)).
  replace (2 * output n u v / sqrt (INR n)) with (2 * q) in L, U by (unfold q, Rdiv; ring).
  replace (eta * output n u v / sqrt (INR n)) with (eta * q) by (unfold q, Rdiv; ring).
  assert (q^2 <= (kernel n u v)^2 / 4) by nra.
  replace ((eta * q)^2) with (eta^2 * q^2) by ring.
  replace ((eta * kernel n u v)^2 / 4) with (eta^2 * ((kernel n u v)^2 / 4)) by field.
  apply Rmult_le_compat_l; [apply pow2_ge_0|assumption].
Qed.

(* wd is sharp over the domain: on a = 2x, which is balanced, a' = 2x(r - x)^2 > a above 1 + r. *)
Theorem wd_sharp r x : 0 <= r < 1 -> 1 + r < x ->
  decayed r (2 * x) x = 2 * (x * (r - x)^2) /\ x < x * (r - x)^2.
Proof. intros R H. split; [unfold decayed; ring|]. assert (1 < (r - x)^2) by nra. nra. Qed.
