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
    limit::{ASK_HEAD, FOLLOW_PER_TURN, FULL_PER_TURN, OPAQUE_AFTER, verdict_place},
    record::{End, Turn, flag},
    signature::Class,
};

use crate::{
    conn::{
        ANSWERING, ASKING, BLIND, Conn, FOLLOW, FULL, IDLE, NO_DIRECTION, OFF, PAIRS,
    },
    emit, head,
    kread::pick,
    maps,
};

/// One call that moved bytes.
pub(crate) struct Moved {
    /// 0 read, 1 written.
    pub(crate) direction: u8,
    /// How many, as the call said.
    pub(crate) n: u64,
    /// The direction's sequence number in the kernel after the call; unused for Unix sockets.
    pub(crate) seq: u32,
    /// When it had.
    pub(crate) time: u64,
    /// Who.
    pub(crate) tgid: u32,
}

/// Takes one call into account.
#[inline(always)]
pub(crate) fn take(conn: &mut Conn, moved: &Moved) {
    let direction = moved.direction;
    let skipped = advance(conn, moved);
    if skipped != 0 {
        maps::count(Counter::SkippedBytes, skipped);
        conn.pair.flags |= flag::SKIPPED;
        // Bytes nobody saw stand before these: the head in hand cannot go on.
        conn.whole = 0;
    }
    if conn.mode == FOLLOW || conn.mode == FULL {
        follow(conn, moved);
        return;
    }
    let turns = conn.phase == IDLE || conn.direction != direction;
    if turns && conn.mode == BLIND {
        settle(conn, direction);
        if conn.mode == OFF {
            return;
        }
    }
    if direction == conn.ask {
        if turns {
            begin_ask(conn, moved);
        } else {
            conn.pair.ask.bytes += moved.n + skipped;
            conn.pair.ask.last = moved.time;
        }
        ask_bytes(conn, moved);
    } else {
        if turns {
            begin_answer(conn, moved);
        } else {
            conn.pair.answer.bytes += moved.n + skipped;
            conn.pair.answer.last = moved.time;
            if conn.pair.answer_calls < u8::MAX {
                conn.pair.answer_calls += 1;
            }
        }
        answer_bytes(conn, moved);
    }
    conn.direction = direction;
    touch(conn, moved);
}

/// Moves the direction's position; gives how many bytes were moved by calls that nobody saw.
#[inline(always)]
fn advance(conn: &mut Conn, moved: &Moved) -> u64 {
    let by = if conn.unix != 0 {
        moved.n
    } else {
        let by = moved.seq.wrapping_sub(pick(conn.seq, moved.direction));
        if moved.direction == 0 {
            conn.seq[0] = moved.seq;
        } else {
            conn.seq[1] = moved.seq;
        }
        // One more than was read is the end of the stream, which counts as one itself.
        let by = if moved.direction == 0 && u64::from(by) == moved.n + 1 { by - 1 } else { by };
        // Not ahead: another thread's call on this direction was told first and took these along.
        if by as i32 <= 0 { 0 } else { u64::from(by) }
    };
    if moved.direction == 0 {
        conn.pos[0] += by;
    } else {
        conn.pos[1] += by;
    }
    by.saturating_sub(moved.n)
}

/// Notes when the direction moved.
#[inline(always)]
fn touch(conn: &mut Conn, moved: &Moved) {
    if moved.direction == 0 {
        conn.last[0] = moved.time;
    } else {
        conn.last[1] = moved.time;
    }
}

/// Position of the first byte of this call.
#[inline(always)]
fn start(conn: &Conn, moved: &Moved) -> u64 {
    pick(conn.pos, moved.direction).saturating_sub(moved.n)
}

/// Looks for a signature at the beginning of a turn.
#[inline(always)]
fn settle(conn: &mut Conn, direction: u8) {
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
    if conn.ask == 0 {
        conn.pair.flags |= flag::SERVER;
    } else {
        conn.pair.flags &= !flag::SERVER;
    }
}

#[inline(always)]
fn begin_ask(conn: &mut Conn, moved: &Moved) {
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
    conn.pair.ask_tgid = moved.tgid;
    conn.pair.ask = Turn {
        start: start(conn, moved),
        bytes: moved.n,
        first: moved.time,
        last: moved.time,
    };
    conn.pair.answer = Turn { start: 0, bytes: 0, first: 0, last: 0 };
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

#[inline(always)]
fn ask_bytes(conn: &mut Conn, moved: &Moved) {
    if conn.mode == FOLLOW || conn.mode == FULL || (conn.mode == PAIRS && conn.unix != 0) {
        // Userspace, or the kind of socket, asks for it: nothing of this turn is kept here.
        if conn.mode == PAIRS {
            conn.mode = FOLLOW;
        }
        conn.phase = IDLE;
        conn.direction = NO_DIRECTION;
        follow(conn, moved);
        return;
    }
    if conn.mode == OFF || conn.whole == 0 || u64::from(conn.pair.ask_head) >= ASK_HEAD as u64 {
        if conn.pair.ask_head as usize >= ASK_HEAD && conn.marked == 0 && conn.mode == PAIRS && conn.whole != 0 {
            handover(conn, moved, FOLLOW);
        }
        return;
    }
    let before = conn.pair.ask_head;
    if conn.call.pieces == 0 || head::append_ask(conn) == 0 {
        conn.whole = 0;
        conn.pair.flags |= flag::UNSEEN;
        maps::count(Counter::Unseen, 1);
        return;
    }
    if conn.mode == BLIND && before < 8 && head::ask_class(conn) == Class::Ask as u32 {
        settled(conn);
    }
    if head::scan_ask(conn, u64::from(before)) != 0 {
        if conn.mode == PAIRS {
            conn.pair.ask_head = before;
            handover(conn, moved, FULL);
        }
    } else if conn.marked == 0 && conn.pair.ask_head as usize >= ASK_HEAD && conn.mode == PAIRS {
        conn.pair.ask_head = before;
        handover(conn, moved, FOLLOW);
    }
}

/// Goes over to telling call by call, from this call on: what was kept of the ask goes out first.
#[inline(always)]
fn handover(conn: &mut Conn, moved: &Moved, mode: u8) {
    conn.pair.ask.bytes = conn.pair.ask.bytes.saturating_sub(moved.n);
    let goes_on = conn.pair.ask.bytes != 0;
    if goes_on {
        conn.pair.ask.last = pick(conn.last, moved.direction);
        emit::pair(conn, End::Handover, 0);
    }
    conn.mode = mode;
    conn.phase = IDLE;
    conn.direction = if goes_on { moved.direction } else { NO_DIRECTION };
    conn.carried = conn.pair.ask.bytes;
    follow(conn, moved);
}

#[inline(always)]
fn begin_answer(conn: &mut Conn, moved: &Moved) {
    if conn.phase == IDLE {
        // The ask was before the agent's time.
        conn.pair.seq += 1;
        conn.pair.flags = (conn.pair.flags & (flag::SERVER | flag::UNIX)) | flag::LATE;
        conn.pair.ask_head = 0;
        conn.pair.ask_tgid = moved.tgid;
        conn.pair.ask = Turn { start: 0, bytes: 0, first: 0, last: 0 };
        conn.marked = 0;
    }
    conn.phase = ANSWERING;
    conn.whole = 1;
    conn.pair.flags |= flag::ANSWERED;
    conn.pair.answer_head = 0;
    conn.pair.tail_len = 0;
    conn.pair.answer_calls = 1;
    conn.pair.answer_tgid = moved.tgid;
    conn.pair.answer = Turn {
        start: start(conn, moved),
        bytes: moved.n,
        first: moved.time,
        last: moved.time,
    };
}

#[inline(always)]
fn answer_bytes(conn: &mut Conn, moved: &Moved) {
    if conn.mode == OFF {
        return;
    }
    if conn.mode == PAIRS && conn.unix != 0 {
        unanswer(conn, moved);
        return;
    }
    if conn.call.pieces == 0 {
        conn.pair.tail_len = 0;
        if conn.whole != 0 {
            conn.whole = 0;
            conn.pair.flags |= flag::UNSEEN;
            maps::count(Counter::Unseen, 1);
        }
        return;
    }
    let before = conn.pair.answer_head;
    if conn.whole != 0 && u64::from(before) < agent_common::limit::ANSWER_HEAD as u64 {
        if head::append_answer(conn) == 0 {
            conn.whole = 0;
            conn.pair.flags |= flag::UNSEEN;
            maps::count(Counter::Unseen, 1);
        }
        if before < 12 && head::is_interim(conn) && conn.mode == PAIRS {
            conn.pair.answer_head = before;
            unanswer(conn, moved);
            return;
        }
    }
    if conn.pair.answer.bytes > u64::from(conn.pair.answer_head) {
        head::keep_tail(conn);
    }
}

/// Goes over to telling call by call while an answer begins: the ask goes out as it stands.
#[inline(always)]
fn unanswer(conn: &mut Conn, moved: &Moved) {
    conn.pair.answer.bytes = conn.pair.answer.bytes.saturating_sub(moved.n);
    let goes_on = conn.pair.answer.bytes != 0;
    if !goes_on {
        conn.pair.flags &= !flag::ANSWERED;
        conn.pair.answer = Turn { start: 0, bytes: 0, first: 0, last: 0 };
    }
    if conn.pair.ask.bytes != 0 || goes_on {
        emit::pair(conn, End::Handover, 0);
    }
    conn.mode = FOLLOW;
    conn.phase = IDLE;
    conn.direction = if goes_on { moved.direction } else { moved.direction ^ 1 };
    conn.carried = conn.pair.answer.bytes;
    follow(conn, moved);
}

/// Tells one call of a followed connection.
#[inline(always)]
fn follow(conn: &mut Conn, moved: &Moved) {
    let mut flags = 0;
    if conn.direction != moved.direction {
        if conn.direction <= 1 {
            obey(conn);
            if conn.mode == OFF {
                return;
            }
        }
        conn.direction = moved.direction;
        conn.carried = 0;
        flags = flag::TURN;
    }
    let cap = if conn.mode == FULL { FULL_PER_TURN } else { FOLLOW_PER_TURN };
    let room = cap.saturating_sub(conn.carried);
    if room != 0 || conn.unix != 0 {
        conn.call.start = start(conn, moved);
        conn.call.left = if moved.n < room { moved.n } else { room };
        conn.call.flags = conn.pair.flags | flags;
        emit::segments(conn);
    }
    touch(conn, moved);
}
