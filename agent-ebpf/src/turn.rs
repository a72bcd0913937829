//! Bytes that crossed a socket become turns; turns become pairs.
//!
//! | phase     | bytes in the asking direction        | bytes in the other       |
//! |-----------|--------------------------------------|--------------------------|
//! | idle      | an ask begins                        | an answer nobody saw asked |
//! | asking    | the ask goes on                      | its answer begins        |
//! | answering | the pair is written, an ask begins   | the answer goes on       |
//!
//! Until a signature is seen (`BLIND`) the first direction is taken for the asking one and nothing
//! is written.

use agent_common::{
    counter::Counter,
    limit::{ANSWER_HEAD, ASK_HEAD, FOLLOW_PER_TURN, FULL_PER_TURN, OPAQUE_AFTER, verdict_place},
    record::{End, Turn, flag},
    signature::Class,
};

use crate::{
    conn::{ANSWERING, ASKING, BLIND, Conn, FOLLOW, FULL, IDLE, NO_DIRECTION, OFF, PAIRS},
    emit, hands, head,
    kread::pick,
    maps, why,
};

/// What is to be done with a call besides what its turn has taken of it.
const NOTHING: u32 = 0;
/// It is told by itself: the connection is followed.
const TELL: u32 = 1;
/// The same from this call on, which goes on with, or begins, an ask.
const LEAVE_ASK: u32 = 2;
/// The same, in full.
const LEAVE_ASK_FULL: u32 = 3;
/// The same from this call on, which goes on with, or begins, an answer.
const LEAVE_ANSWER: u32 = 4;

/// Takes the call in hand into account.
///
/// What is known of it stands in memory, and each step is a function that is called in one place:
/// the verifier follows every value that a register may have through all that comes after, and a
/// function once for each place it is called from.
#[inline(never)]
pub(crate) fn take(conn: &mut Conn) {
    advance(conn);
    if conn.carries != 0 {
        emit::carried(conn);
    }
    if maps::watch().get(|w| &w.carry) != 0 {
        hands::moved(conn);
    }
    if conn.mode == FOLLOW || conn.mode == FULL || turn(conn) != NOTHING {
        follow(conn);
    }
    if conn.call.direction == 0 {
        why::read(conn);
    }
    if maps::watch().get(|w| &w.carry) != 0 && conn.mode == OFF {
        // Nothing tells of its answer any more.
        hands::let_go(conn);
    }
}

/// Takes the call in hand into its turn. Not [`NOTHING`] if it is to be told by itself.
#[inline(always)]
fn turn(conn: &mut Conn) -> u32 {
    let direction = conn.call.direction;
    let turns = conn.phase == IDLE || conn.direction != direction;
    if turns && conn.mode == BLIND {
        settle(conn);
        if conn.mode == OFF {
            return NOTHING;
        }
    }
    let next = if direction == conn.ask {
        if turns {
            begin_ask(conn);
        } else {
            conn.pair.ask.bytes += conn.call.n + conn.call.skipped;
            conn.pair.ask.last = conn.call.time;
            if direction == 0 {
                // Who reads the rest goes on with it; of what is sent the first bytes tell who sends it.
                conn.pair.routine = conn.call.routine;
            }
        }
        ask_bytes(conn)
    } else {
        if turns {
            begin_answer(conn);
        } else {
            conn.pair.answer.bytes += conn.call.n + conn.call.skipped;
            conn.pair.answer.last = conn.call.time;
            if conn.pair.answer_calls < u8::MAX {
                conn.pair.answer_calls += 1;
            }
        }
        answer_bytes(conn)
    };
    if next == NOTHING {
        conn.direction = direction;
        touch(conn);
    } else if next != TELL {
        leave(conn, next);
    }
    next
}

/// Moves the direction's position, and notes how many bytes were moved by calls that nobody saw.
#[inline(always)]
fn advance(conn: &mut Conn) {
    let read = conn.call.direction == 0;
    let n = conn.call.n;
    let by = if conn.unix != 0 {
        n
    } else {
        let seq = pick(conn.call.seq, conn.call.direction);
        let by = seq.wrapping_sub(pick(conn.seq, conn.call.direction));
        if read {
            conn.seq[0] = seq;
        } else {
            conn.seq[1] = seq;
        }
        // One more than was read is the end of the stream, which counts as one itself.
        let by = if read && u64::from(by) == n + 1 { by - 1 } else { by };
        // Not ahead: another thread's call on this direction was told first and took these along.
        if by as i32 <= 0 { 0 } else { u64::from(by) }
    };
    if read {
        conn.pos[0] += by;
    } else {
        conn.pos[1] += by;
    }
    conn.call.skipped = by.saturating_sub(n);
    if conn.call.skipped != 0 {
        maps::count(Counter::SkippedBytes, conn.call.skipped);
        conn.pair.flags |= flag::SKIPPED;
        // Bytes nobody saw stand before these: the head in hand cannot go on.
        conn.whole = 0;
    }
}

/// Notes when the direction moved.
#[inline(always)]
fn touch(conn: &mut Conn) {
    if conn.call.direction == 0 {
        conn.last[0] = conn.call.time;
    } else {
        conn.last[1] = conn.call.time;
    }
}

/// Position of the first byte of this call.
#[inline(always)]
fn start(conn: &Conn) -> u64 {
    pick(conn.pos, conn.call.direction).saturating_sub(conn.call.n)
}

/// Looks for a signature at the beginning of a turn.
#[inline(never)]
fn settle(conn: &mut Conn) {
    let direction = conn.call.direction;
    let class = head::class(head::first_eight(conn));
    if class == Class::Ask as u32 {
        if conn.ask != direction {
            // What was taken for an ask was the end of something older than the agent.
            conn.ask = direction;
            conn.phase = IDLE;
        }
        settled(conn);
    } else if class == Class::Answer as u32 {
        if conn.ask == direction || conn.ask == NO_DIRECTION {
            conn.ask = direction ^ 1;
            conn.phase = IDLE;
        }
        settled(conn);
    } else {
        if conn.ask == NO_DIRECTION {
            conn.ask = direction;
        }
        conn.misses += 1;
        if conn.misses > OPAQUE_AFTER {
            conn.mode = OFF;
            maps::count(Counter::Opaque, 1);
        }
    }
}

#[inline(always)]
fn settled(conn: &mut Conn) {
    conn.mode = PAIRS;
    if conn.unix != 0 {
        emit::joint(conn);
    }
    if conn.ask == 0 {
        conn.pair.flags |= flag::SERVER;
    } else {
        conn.pair.flags &= !flag::SERVER;
    }
}

#[inline(always)]
fn begin_ask(conn: &mut Conn) {
    if conn.phase == ANSWERING {
        if conn.mode == PAIRS {
            emit::pair(conn, End::Next, 0);
        } else {
            maps::count(Counter::Unknown, 1);
        }
    }
    if conn.mode == PAIRS {
        obey(conn);
    }
    conn.phase = ASKING;
    conn.whole = 1;
    conn.marked = 0;
    conn.pair.seq += 1;
    conn.pair.flags &= flag::SERVER | flag::UNIX;
    conn.pair.ask_head = 0;
    conn.pair.answer_head = 0;
    conn.pair.tail_len = 0;
    conn.pair.answer_calls = 0;
    conn.pair.ask_tgid = conn.call.tgid;
    conn.pair.ask_tid = conn.call.tid;
    conn.pair.routine = conn.call.routine;
    conn.pair.waits = conn.call.waits;
    conn.pair.steps.ask_sleeps = conn.call.sleeps;
    conn.pair.ask = Turn {
        start: start(conn),
        bytes: conn.call.n,
        first: conn.call.time,
        last: conn.call.time,
    };
    conn.pair.answer = Turn { start: 0, bytes: 0, first: 0, last: 0 };
    why::asked(conn);
}

/// Takes up what userspace has said of this connection meanwhile.
#[inline(always)]
fn obey(conn: &mut Conn) {
    let Some(place) = maps::VERDICTS.get(verdict_place(conn.pair.conn)) else { return };
    // SAFETY: a live map value; userspace writes it whole.
    let verdict = unsafe { core::ptr::read_volatile(place) };
    if verdict >> 8 != conn.pair.conn & (u64::MAX >> 8) {
        return;
    }
    let mode = verdict as u8;
    if mode == FOLLOW || mode == FULL || mode == OFF {
        conn.mode = mode;
    }
}

/// Keeps what the head wants of an ask's bytes. Gives what is to be done with the call besides.
#[inline(never)]
fn ask_bytes(conn: &mut Conn) -> u32 {
    if conn.mode == FOLLOW || conn.mode == FULL || (conn.mode == PAIRS && conn.unix != 0) {
        if conn.mode == PAIRS && conn.pair.ask_head != 0 {
            // Settled in the middle of a head that came in pieces.
            return LEAVE_ASK;
        }
        // Userspace, or the kind of socket, asks for it: nothing of this turn is kept here.
        if conn.mode == PAIRS {
            conn.mode = FOLLOW;
        }
        conn.phase = IDLE;
        conn.direction = NO_DIRECTION;
        return TELL;
    }
    if conn.mode == OFF || conn.whole == 0 {
        return NOTHING;
    }
    let before = conn.pair.ask_head;
    if before as usize >= ASK_HEAD {
        return if conn.marked == 0 && conn.mode == PAIRS { LEAVE_ASK } else { NOTHING };
    }
    if conn.call.pieces == 0 || head::append_ask(conn) == 0 {
        conn.whole = 0;
        conn.pair.flags |= flag::UNSEEN;
        maps::count(Counter::Unseen, 1);
        return NOTHING;
    }
    if conn.mode == BLIND && before < 8 && head::ask_class(conn) == Class::Ask as u32 {
        settled(conn);
    }
    let pipelined = head::scan_ask(conn, u64::from(before)) != 0;
    let too_long = conn.marked == 0 && conn.pair.ask_head as usize >= ASK_HEAD;
    if conn.mode != PAIRS || !(pipelined || too_long) {
        return NOTHING;
    }
    conn.pair.ask_head = before;
    if pipelined { LEAVE_ASK_FULL } else { LEAVE_ASK }
}

/// Goes over to telling call by call, from this call on: what was kept goes out first.
#[inline(never)]
fn leave(conn: &mut Conn, how: u32) {
    let direction = conn.call.direction;
    let other = if how == LEAVE_ANSWER {
        conn.pair.answer.bytes = conn.pair.answer.bytes.saturating_sub(conn.call.n);
        conn.carried = conn.pair.answer.bytes;
        if conn.carried == 0 {
            conn.pair.flags &= !(flag::ANSWERED | flag::SAME);
            conn.pair.answer = Turn { start: 0, bytes: 0, first: 0, last: 0 };
        }
        direction ^ 1
    } else {
        conn.pair.ask.bytes = conn.pair.ask.bytes.saturating_sub(conn.call.n);
        conn.carried = conn.pair.ask.bytes;
        conn.pair.ask.last = pick(conn.last, direction);
        NO_DIRECTION
    };
    if conn.pair.ask.bytes != 0 || conn.carried != 0 {
        emit::pair(conn, End::Handover, 0);
    }
    conn.mode = if how == LEAVE_ASK_FULL { FULL } else { FOLLOW };
    conn.phase = IDLE;
    conn.direction = if conn.carried != 0 { direction } else { other };
}

#[inline(always)]
fn begin_answer(conn: &mut Conn) {
    let late = conn.phase == IDLE;
    if late {
        // The ask was before the agent's time.
        conn.pair.seq += 1;
        conn.pair.flags = (conn.pair.flags & (flag::SERVER | flag::UNIX)) | flag::LATE;
        conn.pair.ask_head = 0;
        conn.pair.ask_tgid = conn.call.tgid;
        conn.pair.ask_tid = 0;
        conn.pair.routine = 0;
        conn.pair.ask = Turn { start: 0, bytes: 0, first: 0, last: 0 };
        conn.marked = 0;
    }
    conn.phase = ANSWERING;
    conn.whole = 1;
    conn.pair.flags |= flag::ANSWERED;
    if conn.call.routine == conn.pair.routine {
        conn.pair.flags |= flag::SAME;
    }
    conn.pair.answer_head = 0;
    conn.pair.tail_len = 0;
    conn.pair.answer_calls = 1;
    conn.pair.answer_tgid = conn.call.tgid;
    conn.pair.answer_tid = conn.call.tid;
    conn.pair.steps.answer_sleeps = conn.call.sleeps;
    conn.pair.answer = Turn {
        start: start(conn),
        bytes: conn.call.n,
        first: conn.call.time,
        last: conn.call.time,
    };
    why::answered(conn, late);
}

/// Keeps what the head wants of an answer's bytes. Gives what is to be done with the call besides.
#[inline(never)]
fn answer_bytes(conn: &mut Conn) -> u32 {
    if conn.mode == OFF {
        return NOTHING;
    }
    if conn.mode == PAIRS && conn.unix != 0 {
        return LEAVE_ANSWER;
    }
    if conn.call.pieces == 0 {
        conn.pair.tail_len = 0;
        if conn.whole != 0 {
            conn.whole = 0;
            conn.pair.flags |= flag::UNSEEN;
            maps::count(Counter::Unseen, 1);
        }
        return NOTHING;
    }
    let before = conn.pair.answer_head;
    if conn.whole != 0 && u64::from(before) < ANSWER_HEAD as u64 {
        if head::append_answer(conn) == 0 {
            conn.whole = 0;
            conn.pair.flags |= flag::UNSEEN;
            maps::count(Counter::Unseen, 1);
        }
        if before < 12 && head::is_interim(conn) && conn.mode == PAIRS {
            conn.pair.answer_head = before;
            return LEAVE_ANSWER;
        }
    }
    if conn.pair.answer.bytes > u64::from(conn.pair.answer_head) {
        head::keep_tail(conn);
    }
    NOTHING
}

/// Tells one call of a followed connection.
#[inline(never)]
fn follow(conn: &mut Conn) {
    let mut flags = 0;
    if conn.direction != conn.call.direction {
        if conn.direction <= 1 {
            obey(conn);
            if conn.mode == OFF {
                return;
            }
        }
        conn.direction = conn.call.direction;
        conn.carried = 0;
        flags = flag::TURN;
        why::turned(conn);
    }
    // Nothing tells how far a Unix socket has come but its calls.
    let full = conn.mode == FULL || conn.unix != 0;
    let cap = if full { FULL_PER_TURN } else { FOLLOW_PER_TURN };
    let room = cap.saturating_sub(conn.carried);
    if room != 0 || conn.unix != 0 {
        conn.call.start = start(conn);
        conn.call.left = if conn.call.n < room { conn.call.n } else { room };
        conn.call.flags = (conn.pair.flags & !flag::SAME) | flags;
        emit::segments(conn);
    }
    touch(conn);
}
