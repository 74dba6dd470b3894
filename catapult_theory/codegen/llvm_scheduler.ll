; The run over a chunk of lanes; names in braces are filled in.
; run: lanes enter scratch memory, advance in stretches, are judged and leave.
; record_all: all lanes of a chunk at once, where none has left it.
; settle: judges the queued lanes, writes those that are decided, and puts the others back.
; replay, replayq: the steps of peaks, of active and of queued lanes.
define void @run(i64 %low, i64 %high, i64 %steps, ptr %arrays, ptr %scratch) {
  {FLUSH_ON}
  %old0 = getelementptr i8, ptr %scratch, i64 0
  %new0 = getelementptr i8, ptr %scratch, i64 {MOVING}
  %kept = getelementptr i8, ptr %scratch, i64 {KEPT}
  %w = getelementptr i8, ptr %scratch, i64 {W}
  %idx = getelementptr i8, ptr %scratch, i64 {IDX}
  %flags = getelementptr i8, ptr %scratch, i64 {FLAGS}
  %rows = alloca [{ROWS} x {REAL}], i64 {QUEUE}, align 64
  %qkept = alloca [{KEPTROWS} x {REAL}], i64 {QUEUE}, align 64
  %qw = alloca [{QUEUE} x i64], align 64
  %qwhen = alloca [{QUEUE} x i64], align 64
  %qidx = alloca [{QUEUE} x i64], align 64
  %verdict = alloca [{QUEUE} x i64], align 64
  %decided = alloca [{QUEUE} x i64], align 64
  %moved = alloca i1
  store i1 false, ptr %moved
  %entered = call i64 @enter(i64 %low, i64 %high, ptr %arrays, ptr %new0, ptr %kept, ptr %w, ptr %idx)
  br label %rounds
rounds:
  %t = phi i64 [ 0, %0 ], [ %t2, %endround ]
  %look = phi i64 [ {SHORTEST}, %0 ], [ %nextlook, %endround ]
  %active = phi i64 [ %entered, %0 ], [ %left, %endround ]
  %old = phi ptr [ %new0, %0 ], [ %new, %endround ]
  %new = phi ptr [ %old0, %0 ], [ %old, %endround ]
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
  br label %wide
wide:
  %v = phi i64 [ 0, %begin ], [ %vk, %widedo ]
  %vk = add i64 %v, {K}
  %fits = icmp sle i64 %vk, %vecs
  br i1 %fits, label %widedo, label %narrow
widedo:
  %off = mul i64 %v, {LANES}
  call void @group{K}(ptr %old, ptr %new, ptr %kept, ptr %w, ptr %flags, i64 %off, i64 %L, i64 %t)
  br label %wide
narrow:
  %v1 = phi i64 [ %v, %wide ], [ %v2, %narrowdo ]
  %moreone = icmp slt i64 %v1, %vecs
  br i1 %moreone, label %narrowdo, label %judge
narrowdo:
  %off1 = mul i64 %v1, {LANES}
  call void @group1(ptr %old, ptr %new, ptr %kept, ptr %w, ptr %flags, i64 %off1, i64 %L, i64 %t)
  %v2 = add i64 %v1, 1
  br label %narrow
judge:
  %lastv = sub i64 %vecs, 1
  %whole = mul i64 %lastv, {LANES}
  %in_last = sub i64 %active, %whole
  br label %vector
vector:
  %x = phi i64 [ %lastv, %judge ], [ %x1, %nextvector ]
  %a = phi i64 [ %active, %judge ], [ %a3, %nextvector ]
  %q = phi i64 [ 0, %judge ], [ %q3, %nextvector ]
  %m = phi i32 [ 0, %judge ], [ %m3, %nextvector ]
  %negative = icmp slt i64 %x, 0
  br i1 %negative, label %flushlast, label %mask
mask:
  %fp = getelementptr i32, ptr %flags, i64 %x
  %raw = load i32, ptr %fp, align 4
  %islast = icmp eq i64 %x, %lastv
  %many = trunc i64 %in_last to i32
  %ones = shl i32 1, %many
  %valid = sub i32 %ones, 1
  %cut = select i1 %islast, i32 %valid, i32 {EVERY}
  %bits0 = and i32 %raw, %cut
  %movers = lshr i32 %raw, {MOVED}
  %base = mul i64 %x, {LANES}
  br label %lane
lane:
  %bits = phi i32 [ %bits0, %mask ], [ %bits1, %nextlane ]
  %a1 = phi i64 [ %a, %mask ], [ %a4, %nextlane ]
  %q1 = phi i64 [ %q, %mask ], [ %q4, %nextlane ]
  %m1 = phi i32 [ %m, %mask ], [ %m4, %nextlane ]
  %none = icmp eq i32 %bits, 0
  br i1 %none, label %nextvector, label %take
take:
  %lead = call i32 @llvm.ctlz.i32(i32 %bits, i1 true)
  %j = sub i32 31, %lead
  %jbit = shl i32 1, %j
  %bits1 = xor i32 %bits, %jbit
  %j64 = zext i32 %j to i64
  %pos = add i64 %base, %j64
  store i1 true, ptr %moved
  %mine = and i32 %movers, %jbit
  %m2 = or i32 %m1, %mine
  call void @queue(ptr %rows, ptr %qkept, ptr %qw, ptr %qidx, i64 %q1, ptr %old, ptr %kept, ptr %w, ptr %idx, i64 %pos)
  %a2 = sub i64 %a1, 1
  call void @move(ptr %new, ptr %kept, ptr %w, ptr %idx, i64 %pos, i64 %a2)
  %q2 = add i64 %q1, 1
  %isfull = icmp eq i64 %q2, {QUEUE}
  br i1 %isfull, label %flush, label %nextlane
flush:
  %af = call i64 @settle(i64 %q2, i64 %a2, i32 %m2, i64 %L, i64 %t, i64 %steps, ptr %rows, ptr %qkept, ptr %qw, ptr %qwhen, ptr %qidx, ptr %verdict, ptr %decided, ptr %new, ptr %kept, ptr %w, ptr %idx, ptr %arrays)
  br label %nextlane
nextlane:
  %a4 = phi i64 [ %a2, %take ], [ %af, %flush ]
  %q4 = phi i64 [ %q2, %take ], [ 0, %flush ]
  %m4 = phi i32 [ %m2, %take ], [ 0, %flush ]
  br label %lane
nextvector:
  %a3 = phi i64 [ %a1, %lane ]
  %q3 = phi i64 [ %q1, %lane ]
  %m3 = phi i32 [ %m1, %lane ]
  %x1 = sub i64 %x, 1
  br label %vector
flushlast:
  %pending = icmp sgt i64 %q, 0
  br i1 %pending, label %flushdo, label %endround
flushdo:
  %ag = call i64 @settle(i64 %q, i64 %a, i32 %m, i64 %L, i64 %t, i64 %steps, ptr %rows, ptr %qkept, ptr %qw, ptr %qwhen, ptr %qidx, ptr %verdict, ptr %decided, ptr %new, ptr %kept, ptr %w, ptr %idx, ptr %arrays)
  br label %endround
endround:
  %left = phi i64 [ %a, %flushlast ], [ %ag, %flushdo ]
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
  %doubt = call i1 @replay(ptr %old, ptr %kept, ptr %w, ptr %w, i64 {ROW}, i64 {MARK}, i64 %p, i64 %active, i64 {LONGEST})
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
  call void @record_all(ptr %old, ptr %w, i64 %low, i64 %high, i64 %steps, ptr %arrays)
  br label %out
finish:
  %i = phi i64 [ 0, %order ], [ %i1, %finishdo ]
  %morelanes = icmp slt i64 %i, %active
  br i1 %morelanes, label %finishdo, label %out
finishdo:
  call void @record(ptr %old, ptr %w, ptr %idx, i64 %i, i64 {CAPACITY}, i64 0, i64 %steps, ptr %arrays)
  %i1 = add i64 %i, 1
  br label %finish
out:
  call void @leave(i64 %low, i64 %high, ptr %arrays)
  {FLUSH_OFF}
  ret void
}

define internal i64 @settle(i64 %count, i64 %active, i32 %movers, i64 %L, i64 %t, i64 %end, ptr %rows, ptr %qkept, ptr %qw, ptr %qwhen, ptr %qidx, ptr %verdict, ptr %decided, ptr %new, ptr %kept, ptr %w, ptr %idx, ptr %arrays) noinline {
  %doubt = call i1 @{REPLAYQ}(ptr %rows, ptr %qkept, ptr %qw, ptr %qwhen, i64 {QROW}, i64 {MARK}, i64 0, i64 %count, i64 {LONGEST})
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
  call void @judged(ptr %rows, ptr %qkept, ptr %qw, ptr %qwhen, ptr %verdict, ptr %decided, i64 %L, i64 %t, i64 %end, i64 %count)
  br label %loop
loop:
  %s = phi i64 [ 0, %light ], [ 0, %heavy ], [ %s1, %next ]
  %a = phi i64 [ %active, %light ], [ %active, %heavy ], [ %a2, %next ]
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
  call void @restore(ptr %rows, ptr %qkept, ptr %qw, ptr %qidx, i64 %s, ptr %new, ptr %kept, ptr %w, ptr %idx, i64 %a)
  %a1 = add i64 %a, 1
  br label %next
next:
  %a2 = phi i64 [ %a, %store ], [ %a1, %back ]
  %s1 = add i64 %s, 1
  br label %loop
done:
  ret i64 %a
}
