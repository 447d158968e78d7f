use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// One sleep for all timers of a connection. It is made when something must wait for the first time and moved only
/// when a deadline comes nearer, so that a busy connection does not touch the timer wheel.
#[derive(Debug, Default)]
pub(crate) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Whether `deadline` is over; if not, the task is woken then or before.
    pub(crate) fn over(&mut self, cx: &mut Context<'_>, deadline: Instant) -> bool {
        let now = Instant::now();
        if deadline <= now {
            return true;
        }
        let sleep = self
            .0
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(now)));
        let armed = sleep.deadline();
        if armed <= now || armed > deadline {
            sleep.as_mut().reset(deadline);
            if sleep.as_mut().poll(cx).is_ready() {
                return true;
            }
        }
        false
    }
}

/// How long something may go on without a sign of life.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    alarm: Alarm,
    since: Option<Instant>,
}

impl Patience {
    /// Something happened.
    pub(crate) fn progress(&mut self) {
        self.since = None;
    }

    /// Nothing happened: ready when that has gone on for `limit`.
    pub(crate) fn poll_over(&mut self, cx: &mut Context<'_>, limit: Duration) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        if self.alarm.over(cx, since + limit) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}
