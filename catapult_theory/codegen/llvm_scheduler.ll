; The run over a chunk of lanes; names in braces are filled in.
; run: all lanes, a chunk after the other.
; chunk: lanes enter scratch memory, advance in stretches, are judged and leave.
; record_all: all lanes of a chunk at once, where none has left it.
; settle: judges the queued lanes, writes those that are decided, and puts the others back.
; replay: the steps of peaks, of active and of queued lanes.
define void @run(i64 %low, i64 %high, i64 %steps, ptr %arrays, ptr %scratch) {
  {FLUSH_ON}
  br label %chunks
chunks:
  %first = phi i64 [ %low, %0 ], [ %next, %one ]
  %some = icmp slt i64 %first, %high
  br i1 %some, label %one, label %out
one:
  %next = add i64 %first, {CHUNK}
  %over = icmp sgt i64 %next, %high
  %last = select i1 %over, i64 %high, i64 %next
  call void @chunk(i64 %first, i64 %last, i64 %steps, ptr %arrays, ptr %scratch)
  br label %chunks
out:
  {FLUSH_OFF}
  ret void
}

define internal void @chunk(i64 %low, i64 %high, i64 %steps, ptr %arrays, ptr %scratch) noinline {
{CHUNK_PARTS}
{QUEUE_PARTS}
{FOUND_PARTS}
  %moved = alloca i1
  store i1 false, ptr %moved
  %entered = call i64 @enter(i64 %low, i64 %high, ptr %arrays, ptr %scratch)
  br label %rounds
rounds:
  %t = phi i64 [ 0, %0 ], [ %t2, %endround ]
  %look = phi i64 [ {SHORTEST}, %0 ], [ %nextlook, %endround ]
  %active = phi i64 [ %entered, %0 ], [ %left, %endround ]
  %some = icmp sgt i64 %active, 0
  %time = icmp slt i64 %t, %steps
  %go = and i1 %some, %time
  br i1 %go, label %begin, label %ending
begin:
  %rest = sub i64 %steps, %t
  %short = icmp slt i64 %rest, %look
  %L = select i1 %short, i64 %rest, i64 %look
  %t2 = add i64 %t, %L
  %up = add i64 %active, {GROUP_1}
  %groups = udiv i64 %up, {GROUP}
  %upL = add i64 %L, {PIECE_1}
  %pieces = udiv i64 %upL, {PIECE}
  br label %wide
wide:
  %g = phi i64 [ 0, %begin ], [ %g1, %lane ]
  %q = phi i64 [ 0, %begin ], [ %q1, %lane ]
  %m = phi i64 [ 0, %begin ], [ %m1, %lane ]
  %fits = icmp slt i64 %g, %groups
  br i1 %fits, label %widedo, label %flushlast
widedo:
  %off = mul i64 %g, {GROUP}
  %g1 = add i64 %g, 1
  %here = sub i64 %active, %off
  call void @group(ptr %scratch, i64 %off, i64 %L)
  br label %looks
looks:
  %k = phi i64 [ 0, %widedo ], [ %k1, %lookdo ]
  %found = phi i64 [ 0, %widedo ], [ %found1, %lookdo ]
  %movers = phi i64 [ 0, %widedo ], [ %movers1, %lookdo ]
  %first = mul i64 %k, {LANES}
  %ofgroup = icmp slt i64 %k, {K}
  %oflanes = icmp slt i64 %first, %here
  %lookmore = and i1 %ofgroup, %oflanes
  br i1 %lookmore, label %lookdo, label %looked
lookdo:
  %base = add i64 %off, %first
  %raw = call i32 @look(ptr %scratch, i64 %base, i64 %first, i64 %pieces, i64 %t)
  %raw64 = zext i32 %raw to i64
  %low_bits = and i64 %raw64, {EVERY}
  %high_bits = lshr i64 %raw64, {MOVED}
  %mine = shl i64 %low_bits, %first
  %mine_moved = shl i64 %high_bits, %first
  %found1 = or i64 %found, %mine
  %movers1 = or i64 %movers, %mine_moved
  %k1 = add i64 %k, 1
  br label %looks
looked:
  %full = icmp sge i64 %here, {GROUP}
  %lacking = sub i64 64, %here
  %cut = lshr i64 -1, %lacking
  %valid = select i1 %full, i64 -1, i64 %cut
  %bits0 = and i64 %found, %valid
  %flag = getelementptr i64, ptr %flags, i64 %g
  store i64 %bits0, ptr %flag, align 8
  br label %lane
lane:
  %bits = phi i64 [ %bits0, %looked ], [ %bits1, %nextlane ]
  %q1 = phi i64 [ %q, %looked ], [ %q4, %nextlane ]
  %m1 = phi i64 [ %m, %looked ], [ %m4, %nextlane ]
  %none = icmp eq i64 %bits, 0
  br i1 %none, label %wide, label %take
take:
  %j = call i64 @llvm.cttz.i64(i64 %bits, i1 true)
  %less = sub i64 %bits, 1
  %bits1 = and i64 %bits, %less
  %pos = add i64 %off, %j
  %shifted_movers = lshr i64 %movers, %j
  %m2 = or i64 %m1, %shifted_movers
{QUEUE_LANE}
  %q2 = add i64 %q1, 1
  %isfull = icmp eq i64 %q2, {QUEUE}
  br i1 %isfull, label %flush, label %nextlane
flush:
  call void @settle(i64 %q2, i64 %m2, i64 %L, i64 %t, i64 %steps, ptr %arrays, ptr %scratch)
  br label %nextlane
nextlane:
  %q4 = phi i64 [ %q2, %take ], [ 0, %flush ]
  %m4 = phi i64 [ %m2, %take ], [ 0, %flush ]
  br label %lane
flushlast:
  %pending = icmp sgt i64 %q, 0
  br i1 %pending, label %flushdo, label %holes
flushdo:
  call void @settle(i64 %q, i64 %m, i64 %L, i64 %t, i64 %steps, ptr %arrays, ptr %scratch)
  br label %holes
holes:
  %hg0 = phi i64 [ %groups, %flushlast ], [ %groups, %flushdo ], [ %hg, %hole ]
  %left = phi i64 [ %active, %flushlast ], [ %active, %flushdo ], [ %ha, %hole ]
  %all = icmp eq i64 %hg0, 0
  br i1 %all, label %endround, label %holesdo
holesdo:
  %hg = sub i64 %hg0, 1
  %hflag = getelementptr i64, ptr %flags, i64 %hg
  %hbits0 = load i64, ptr %hflag, align 8
  %hbase = mul i64 %hg, {GROUP}
  br label %hole
hole:
  %hbits = phi i64 [ %hbits0, %holesdo ], [ %hbits1, %fill ]
  %ha = phi i64 [ %left, %holesdo ], [ %last, %fill ]
  %hnone = icmp eq i64 %hbits, 0
  br i1 %hnone, label %holes, label %fill
fill:
  %lead = call i64 @llvm.ctlz.i64(i64 %hbits, i1 true)
  %hj = sub i64 63, %lead
  %hbit = shl i64 1, %hj
  %hbits1 = xor i64 %hbits, %hbit
  %pos.h = add i64 %hbase, %hj
  store i1 true, ptr %moved
  %last = sub i64 %ha, 1
{MOVE_LANE}
  br label %hole
endround:
  %gone = sub i64 %active, %left
  %weight = mul i64 %gone, %look
  %low1 = mul i64 %active, {SELDOM}
  %high1 = mul i64 %active, {OFTEN}
  %seldom = icmp slt i64 %weight, %low1
  %often = icmp sgt i64 %weight, %high1
  %nobody = icmp eq i64 %gone, 0
  %doublings = select i1 %nobody, i64 2, i64 1
  %raised = shl i64 %look, %doublings
  %half = lshr i64 %look, 1
  %longer = select i1 %seldom, i64 %raised, i64 %look
  %wanted = select i1 %often, i64 %half, i64 %longer
  %over = icmp sgt i64 %wanted, {LONGEST}
  %under = icmp slt i64 %wanted, {SHORTEST}
  %capped = select i1 %over, i64 {LONGEST}, i64 %wanted
  %nextlook = select i1 %under, i64 {SHORTEST}, i64 %capped
  br label %rounds
ending:
  br label %peaks
peaks:
  %p = phi i64 [ 0, %ending ], [ %p1, %peaksdo ]
  %morepeaks = icmp slt i64 %p, %active
  br i1 %morepeaks, label %peaksdo, label %order
peaksdo:
  %doubt = call i1 @replay(ptr %rows, ptr %kept, ptr %w, ptr %w, i64 {ROW}, i64 {MARK}, i64 %p, i64 %active, i64 {LONGEST})
  %p1 = add i64 %p, {QUEUE}
  br label %peaks
order:
  %count = sub i64 %high, %low
  %still = icmp eq i64 %active, %count
  %shifted = load i1, ptr %moved
  %unmoved = xor i1 %shifted, true
  %inorder = and i1 %still, %unmoved
  br i1 %inorder, label %together, label %finish
together:
  call void @record_all(i64 %low, i64 %high, i64 %steps, ptr %arrays, ptr %scratch)
  br label %out
finish:
  store i64 0, ptr %verdict
  store i64 %steps, ptr %decided
  call void @record(ptr %rows, ptr %w, ptr %idx, i64 {CAPACITY}, i64 %active, ptr %verdict, ptr %decided, i64 0, i64 -1, ptr %arrays)
  br label %out
out:
  call void @leave(i64 %low, i64 %high, ptr %arrays)
  ret void
}

define internal void @settle(i64 %count, i64 %movers, i64 %L, i64 %t, i64 %end, ptr %arrays, ptr %scratch) noinline {
{CHUNK_PARTS}
{QUEUE_PARTS}
{FOUND_PARTS}
  %doubt = call i1 @replay(ptr %qrows, ptr %qkept, ptr %qw, ptr %qwhen, i64 {QROW}, i64 {MARK}, i64 0, i64 %count, i64 {LONGEST})
  br i1 %doubt, label %again, label %known
again:
  %until = add i64 %t, %L
  {AGAIN}
  br label %known
known:
  %one = and i64 %movers, 1
  %still = icmp eq i64 %one, 0
  br i1 %still, label %light, label %heavy
light:
  %unsure = {LIGHT}
  br i1 %unsure, label %heavy, label %settled
heavy:
  call void @judged(ptr %scratch, i64 %L, i64 %t, i64 %end, i64 %count)
  br label %settled
settled:
  call void @record(ptr %qrows, ptr %qwhen, ptr %qidx, i64 {QUEUE}, i64 %count, ptr %verdict, ptr %decided, i64 1, i64 0, ptr %arrays)
  br label %loop
loop:
  %s = phi i64 [ 0, %settled ], [ %s1, %next ]
  %more = icmp slt i64 %s, %count
  br i1 %more, label %body, label %done
body:
  %vp = getelementptr i64, ptr %verdict, i64 %s
  %v = load i64, ptr %vp, align 8
  %open = icmp eq i64 %v, 0
  br i1 %open, label %back, label %next
back:
  %place = getelementptr i64, ptr %qpos, i64 %s
  %qp = load i64, ptr %place, align 8
{RESTORE_LANE}
  %in = udiv i64 %qp, {GROUP}
  %element = urem i64 %qp, {GROUP}
  %bit = shl i64 1, %element
  %others = xor i64 %bit, -1
  %flag = getelementptr i64, ptr %flags, i64 %in
  %old = load i64, ptr %flag, align 8
  %remaining = and i64 %old, %others
  store i64 %remaining, ptr %flag, align 8
  br label %next
next:
  %s1 = add i64 %s, 1
  br label %loop
done:
  ret void
}
