//! The losses of a client, listed as they occur.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use phc::internals::tool::{Losses, ToolClient};

use crate::progress::Progress;
use crate::text::{counted, printable};

/// How often the progress is shown, and the time limit looked at.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// Does the work, closes the client, and lists the losses meanwhile, on a thread of its own: reports that are not read
/// in time are only counted.
pub(crate) fn with_losses<T>(client: &ToolClient, progress: &Progress, work: impl FnOnce() -> T) -> T {
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                // Read before the losses: after the last ones there are no more.
                let last = is_done.load(Ordering::Acquire);
                let losses = client.next_losses(if last { Duration::ZERO } else { TICK });
                progress.show(&client.counts());
                match losses {
                    Some(losses) => list(&losses, progress),
                    None if last => break,
                    None => {}
                }
            }
        });
        let result = work();
        client.close();
        is_done.store(true, Ordering::Release);
        result
    })
}

fn list(losses: &Losses, progress: &Progress) {
    for loss in &losses.events {
        let because =
            [loss.details.as_str(), losses.error.as_str()].into_iter().find(|text| !text.is_empty());
        let because = because.map(|text| format!(": {text}")).unwrap_or_default();
        let maybe = if loss.maybe_delivered { " (the server may have stored it)" } else { "" };
        let because = printable(&because);
        progress.print(&format!("lost {} {}{maybe}{because}", loss.uuid, loss.reason));
    }
    if losses.unnamed > 0 {
        progress.print(&format!("{} more, whose uuids are not known", counted(losses.unnamed, "event")));
    }
}
