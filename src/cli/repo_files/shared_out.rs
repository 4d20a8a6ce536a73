//! Work on many files, shared out to threads.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// The most threads: beyond a few, they wait for the same disk.
const MOST_WORKERS: usize = 8;

/// Gives each item to one of several threads, each with a tool of its own, and collects in no order what became of
/// them. After an error, which is the result then, no more items are begun.
pub(super) fn shared_out<I: Sync, L, T: Send>(
    items: &[I],
    tool: impl Fn() -> anyhow::Result<L> + Sync,
    work: impl Fn(&mut L, &I) -> anyhow::Result<T> + Sync,
) -> anyhow::Result<Vec<T>> {
    let (next, has_failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let worker = || {
        let mut tool = tool()?;
        let mut done = Vec::new();
        while !has_failed.load(Ordering::Relaxed)
            && let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed))
        {
            let result = work(&mut tool, item);
            has_failed.fetch_or(result.is_err(), Ordering::Relaxed);
            done.push(result?);
        }
        Ok(done)
    };
    let workers = thread::available_parallelism().map_or(1, usize::from).min(MOST_WORKERS).min(items.len());
    let done = thread::scope(|threads| {
        let others: Vec<_> = (1..workers).map(|_| threads.spawn(worker)).collect();
        let own = worker();
        // A worker's panic goes on here.
        let others =
            others.into_iter().map(|other| other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        [own].into_iter().chain(others).collect::<anyhow::Result<Vec<_>>>()
    })?;
    Ok(done.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anyhow::anyhow;

    use super::*;

    #[test]
    fn every_item_is_worked_on_once() {
        let items: Vec<u32> = (0..1_000).collect();
        let mut done = shared_out(&items, || Ok(()), |(), item| Ok(*item)).unwrap();
        done.sort_unstable();
        assert_eq!(done, items);
        assert!(shared_out(&[], || Ok(()), |(), item: &u32| Ok(*item)).unwrap().is_empty());
    }

    #[test]
    fn an_error_ends_the_work() {
        let items: Vec<u32> = (0..1_000).collect();
        let begun = AtomicUsize::new(0);
        let result = shared_out(
            &items,
            || Ok(()),
            |(), item| {
                begun.fetch_add(1, Ordering::Relaxed);
                if *item == 10 {
                    return Err(anyhow!("no {item}"));
                }
                // The others take their time, so that the one that fails has some to say so.
                thread::sleep(Duration::from_millis(1));
                Ok(())
            },
        );
        assert_eq!(result.unwrap_err().to_string(), "no 10");
        assert!(begun.into_inner() < items.len());
        let no_tool = shared_out(&items, || Err::<(), _>(anyhow!("no tool")), |(), _| Ok(()));
        assert_eq!(no_tool.unwrap_err().to_string(), "no tool");
    }
}
