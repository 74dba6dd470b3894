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
  %stations = getelementptr i8, ptr %scratch, i64 {STATIONS}
  %new = getelementptr i8, ptr %scratch, i64 {ROWS}
  %kept = getelementptr i8, ptr %scratch, i64 {KEPT}
  %w = getelementptr i8, ptr %scratch, i64 {W}
  %idx = getelementptr i8, ptr %scratch, i64 {IDX}
  %flags = getelementptr i8, ptr %scratch, i64 {FLAGS}
  %rows = alloca [{QROWS} x {REAL}], i64 {QUEUE}, align 64
  %qkept = alloca [{KEPTROWS} x {REAL}], i64 {QUEUE}, align 64
  %qw = alloca [{QUEUE} x i64], align 64
  %qwhen = alloca [{QUEUE} x i64], align 64
  %qidx = alloca [{QUEUE} x i64], align 64
  %qafter = alloca [{QUEUE} x i64], align 64
  %qpos = alloca [{QUEUE} x i64], align 64
  %slots = alloca [{LANES} x i64], align 64
  %extremes = alloca [{EXTREMES} x {REAL}], align 64
  %verdict = alloca [{QUEUE} x i64], align 64
  %decided = alloca [{QUEUE} x i64], align 64
  %moved = alloca i1
  store i1 false, ptr %moved
  %entered = call i64 @enter(i64 %low, i64 %high, ptr %arrays, ptr %new, ptr %kept, ptr %w, ptr %idx)
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
  %up = add i64 %active, {LANES_1}
  %vecs = udiv i64 %up, {LANES}
  %lastv = sub i64 %vecs, 1
  %before_last = mul i64 %lastv, {LANES}
  %in_last = sub i64 %active, %before_last
  %many = trunc i64 %in_last to i32
  %ones = shl i32 1, %many
  %valid = sub i32 %ones, 1
  %upL = add i64 %L, {PIECE_1}
  %pieces = udiv i64 %upL, {PIECE}
  br label %wide
wide:
  %v = phi i64 [ 0, %begin ], [ %vk, %looks ]
  %q = phi i64 [ 0, %begin ], [ %ql, %looks ]
  %m = phi i32 [ 0, %begin ], [ %ml, %looks ]
  %fits = icmp slt i64 %v, %vecs
  br i1 %fits, label %widedo, label %flushlast
widedo:
  %off = mul i64 %v, {LANES}
  %vk = add i64 %v, {K}
  call void @group(ptr %new, ptr %kept, ptr %stations, i64 %off, i64 %L)
  br label %looks
looks:
  %k = phi i64 [ 0, %widedo ], [ %k1, %nextvector ]
  %ql = phi i64 [ %q, %widedo ], [ %q1, %nextvector ]
  %ml = phi i32 [ %m, %widedo ], [ %m1, %nextvector ]
  %x = add i64 %v, %k
  %ofgroup = icmp slt i64 %k, {K}
  %oflanes = icmp slt i64 %x, %vecs
  %lookmore = and i1 %ofgroup, %oflanes
  br i1 %lookmore, label %lookdo, label %wide
lookdo:
  %base = mul i64 %x, {LANES}
  %past = mul i64 %k, {VECTOR}
  %station = getelementptr i8, ptr %stations, i64 %past
  %raw = call i32 @look(ptr %new, ptr %kept, ptr %w, ptr %slots, ptr %extremes, ptr %station, i64 %base, i64 %pieces, i64 %t)
  %islast = icmp eq i64 %x, %lastv
  %cut = select i1 %islast, i32 %valid, i32 {EVERY}
  %bits0 = and i32 %raw, %cut
  %movers = lshr i32 %raw, {MOVED}
  %flag = getelementptr i32, ptr %flags, i64 %x
  store i32 %bits0, ptr %flag, align 4
  br label %lane
lane:
  %bits = phi i32 [ %bits0, %lookdo ], [ %bits1, %nextlane ]
  %q1 = phi i64 [ %ql, %lookdo ], [ %q4, %nextlane ]
  %m1 = phi i32 [ %ml, %lookdo ], [ %m4, %nextlane ]
  %none = icmp eq i32 %bits, 0
  br i1 %none, label %nextvector, label %take
take:
  %j = call i32 @llvm.cttz.i32(i32 %bits, i1 true)
  %jbit = shl i32 1, %j
  %bits1 = xor i32 %bits, %jbit
  %j64 = zext i32 %j to i64
  %pos = add i64 %base, %j64
  %mine = and i32 %movers, %jbit
  %m2 = or i32 %m1, %mine
{QUEUE_LANE}
  %q2 = add i64 %q1, 1
  %isfull = icmp eq i64 %q2, {QUEUE}
  br i1 %isfull, label %flush, label %nextlane
flush:
  call void @settle(i64 %q2, i32 %m2, i64 %L, i64 %t, i64 %steps, ptr %rows, ptr %qkept, ptr %qw, ptr %qwhen, ptr %qidx, ptr %qafter, ptr %qpos, ptr %verdict, ptr %decided, ptr %new, ptr %kept, ptr %w, ptr %idx, ptr %flags, ptr %arrays)
  br label %nextlane
nextlane:
  %q4 = phi i64 [ %q2, %take ], [ 0, %flush ]
  %m4 = phi i32 [ %m2, %take ], [ 0, %flush ]
  br label %lane
nextvector:
  %k1 = add i64 %k, 1
  br label %looks
flushlast:
  %pending = icmp sgt i64 %q, 0
  br i1 %pending, label %flushdo, label %holes
flushdo:
  call void @settle(i64 %q, i32 %m, i64 %L, i64 %t, i64 %steps, ptr %rows, ptr %qkept, ptr %qw, ptr %qwhen, ptr %qidx, ptr %qafter, ptr %qpos, ptr %verdict, ptr %decided, ptr %new, ptr %kept, ptr %w, ptr %idx, ptr %flags, ptr %arrays)
  br label %holes
holes:
  %hv = phi i64 [ %lastv, %flushlast ], [ %lastv, %flushdo ], [ %hv1, %holesdone ]
  %left = phi i64 [ %active, %flushlast ], [ %active, %flushdo ], [ %ha, %holesdone ]
  %past_all = icmp slt i64 %hv, 0
  br i1 %past_all, label %endround, label %holesdo
holesdo:
  %hflag = getelementptr i32, ptr %flags, i64 %hv
  %hbits0 = load i32, ptr %hflag, align 4
  %hbase = mul i64 %hv, {LANES}
  br label %hole
hole:
  %hbits = phi i32 [ %hbits0, %holesdo ], [ %hbits1, %fill ]
  %ha = phi i64 [ %left, %holesdo ], [ %last, %fill ]
  %hnone = icmp eq i32 %hbits, 0
  br i1 %hnone, label %holesdone, label %fill
fill:
  %lead = call i32 @llvm.ctlz.i32(i32 %hbits, i1 true)
  %hj = sub i32 31, %lead
  %hbit = shl i32 1, %hj
  %hbits1 = xor i32 %hbits, %hbit
  %hj64 = zext i32 %hj to i64
  %pos.h = add i64 %hbase, %hj64
  store i1 true, ptr %moved
  %last = sub i64 %ha, 1
{MOVE_LANE}
  br label %hole
holesdone:
  %hv1 = sub i64 %hv, 1
  br label %holes
endround:
  %gone = sub i64 %active, %left
  %weight = mul i64 %gone, %look
  %low1 = mul i64 %active, {SELDOM}
  %high1 = mul i64 %active, {OFTEN}
  %seldom = icmp slt i64 %weight, %low1
  %often = icmp sgt i64 %weight, %high1
  %twice = shl i64 %look, 1
  %half = lshr i64 %look, 1
  %longer = select i1 %seldom, i64 %twice, i64 %look
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
  %doubt = call i1 @replay(ptr %new, ptr %kept, ptr %w, ptr %w, i64 {ROW}, i64 {MARK}, i64 %p, i64 %active, i64 {LONGEST})
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
  call void @record_all(ptr %new, ptr %w, i64 %low, i64 %high, i64 %steps, ptr %arrays)
  br label %out
finish:
  %i = phi i64 [ 0, %order ], [ %i1, %finishdo ]
  %morelanes = icmp slt i64 %i, %active
  br i1 %morelanes, label %finishdo, label %out
finishdo:
  call void @record(ptr %new, ptr %w, ptr %idx, i64 %i, i64 {CAPACITY}, i64 0, i64 %steps, ptr %arrays)
  %i1 = add i64 %i, 1
  br label %finish
out:
  call void @leave(i64 %low, i64 %high, ptr %arrays)
  ret void
}

define internal void @settle(i64 %count, i32 %movers, i64 %L, i64 %t, i64 %end, ptr %rows, ptr %qkept, ptr %qw, ptr %qwhen, ptr %qidx, ptr %qafter, ptr %qpos, ptr %verdict, ptr %decided, ptr %new, ptr %kept, ptr %w, ptr %idx, ptr %flags, ptr %arrays) noinline {
  %doubt = call i1 @replay(ptr %rows, ptr %qkept, ptr %qw, ptr %qwhen, i64 {QROW}, i64 {MARK}, i64 0, i64 %count, i64 {LONGEST})
  br i1 %doubt, label %again, label %known
again:
  {AGAIN}
  br label %known
known:
  %still = icmp eq i32 %movers, 0
  br i1 %still, label %light, label %heavy
light:
  %unsure = {LIGHT}
  br i1 %unsure, label %heavy, label %loop
heavy:
  call void @judged(ptr %rows, ptr %qkept, ptr %qw, ptr %qwhen, ptr %qafter, ptr %verdict, ptr %decided, i64 %L, i64 %t, i64 %end, i64 %count)
  br label %loop
loop:
  %s = phi i64 [ 0, %light ], [ 0, %heavy ], [ %s1, %next ]
  %more = icmp slt i64 %s, %count
  br i1 %more, label %body, label %done
body:
  %vp = getelementptr i64, ptr %verdict, i64 %s
  %v = load i64, ptr %vp, align 8
  %open = icmp eq i64 %v, 0
  br i1 %open, label %back, label %store
store:
  %dp = getelementptr i64, ptr %decided, i64 %s
  %d = load i64, ptr %dp, align 8
  call void @record(ptr %rows, ptr %qwhen, ptr %qidx, i64 %s, i64 {QUEUE}, i64 %v, i64 %d, ptr %arrays)
  br label %next
back:
  %place = getelementptr i64, ptr %qpos, i64 %s
  %qp = load i64, ptr %place, align 8
{RESTORE_LANE}
  %vector = udiv i64 %qp, {LANES}
  %element = urem i64 %qp, {LANES}
  %element32 = trunc i64 %element to i32
  %bit = shl i32 1, %element32
  %others = xor i32 %bit, -1
  %flag = getelementptr i32, ptr %flags, i64 %vector
  %old = load i32, ptr %flag, align 4
  %kept_bits = and i32 %old, %others
  store i32 %kept_bits, ptr %flag, align 4
  br label %next
next:
  %s1 = add i64 %s, 1
  br label %loop
done:
  ret void
}
