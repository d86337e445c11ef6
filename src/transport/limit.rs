//! The time limit of an attempt, in a process that may stand still: it is stopped, its container is frozen, or the
//! machine is too busy. When it goes on, the limit has passed, but the response may have arrived long ago.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

/// The longest that is added.
const MOST: Duration = Duration::from_secs(1);

/// Waits for an exchange for so long at most; `None` if it takes longer. If the end of that is noticed late, what has
/// arrived meanwhile is read first, for as long again, at most for [`MOST`]: an attempt that is given up then is made
/// again for nothing.
pub(super) async fn within<T>(limit: Duration, exchange: impl Future<Output = T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    let mut exchange = pin!(exchange);
    match timeout_at(deadline, exchange.as_mut()).await {
        Ok(result) => Some(result),
        Err(_) => timeout(deadline.elapsed().min(MOST), exchange).await.ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::future::pending;
    use std::thread;

    use tokio::runtime;
    use tokio::task::yield_now;

    const LIMIT: Duration = Duration::from_millis(100);

    fn run<T>(exchange: impl Future<Output = T>) -> Option<T> {
        let runtime = runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(within(LIMIT, exchange))
    }

    #[test]
    fn what_arrived_while_the_process_stood_still_is_read() {
        let exchange = async {
            thread::sleep(10 * LIMIT);
            // A response is read in steps.
            for _ in 0..10 {
                yield_now().await;
            }
        };
        assert_eq!(run(exchange), Some(()));
    }

    #[test]
    fn an_exchange_that_takes_longer_ends() {
        assert_eq!(run(pending::<()>()), None);
        let exchange = async {
            thread::sleep(2 * LIMIT);
            pending::<()>().await;
        };
        assert_eq!(run(exchange), None);
    }
}
