//! Trying again, within a total deadline.

use std::time::Duration;

use futures_util::future::{Either, select};
use heimdall_types::Timestamp;

use crate::endpoint::{Caller, Retry};
use crate::{HttpFault, HttpRequest, HttpResponse};

const MOST_REPETITIONS: u32 = 5;
const FIRST_DELAY: Duration = Duration::from_millis(10);

/// Sends until an answer comes that trying again would not better, or until the deadline.
pub(super) async fn repeat(
    caller: &Caller,
    request: &HttpRequest,
    retry: Retry,
) -> Result<HttpResponse, HttpFault> {
    let deadline = caller.clock.now().plus(retry.give_up_after);
    let mut last = Err(HttpFault::Timeout);
    for repetition in 0..=MOST_REPETITIONS {
        let mut request = request.clone();
        let left = left(caller, deadline);
        if left.is_zero() {
            break;
        }
        request.timeout = request.timeout.min(left);
        // the deadline is kept by our own timer too: an adapter may be late
        let sent = std::pin::pin!(caller.follow(request));
        let pause = caller.timer.sleep(left);
        last = match select(sent, pause).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => return Err(HttpFault::Timeout),
        };
        if !worth_repeating(&last) {
            break;
        }
        let delay = FIRST_DELAY
            .saturating_mul(2_u32.saturating_pow(repetition))
            .min(retry.max_delay);
        if repetition == MOST_REPETITIONS || caller.clock.now().plus(delay) >= deadline {
            break;
        }
        caller.timer.sleep(delay).await;
    }
    last
}

fn left(caller: &Caller, deadline: Timestamp) -> Duration {
    deadline.since(caller.clock.now())
}

fn worth_repeating(answer: &Result<HttpResponse, HttpFault>) -> bool {
    match answer {
        Ok(answer) => answer.status == 429 || (answer.status >= 500 && answer.status != 501),
        Err(HttpFault::Timeout | HttpFault::Unreachable(_)) => true,
        Err(_) => false,
    }
}
