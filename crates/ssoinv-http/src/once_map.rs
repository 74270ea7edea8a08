//! One fetch per key for all callers that need the value at the same time.
//!
//! A [`OnceMap`] keeps the last value of each key. The caller decides which values serve: credentials must last, for
//! instance, or differ from those that a service has just refused. If the kept value doesn't serve, the caller
//! fetches another one, and callers of the same key wait for the outcome. Callers of other keys don't wait.
//!
//! Failures are values, too: `V` is often a `Result`, and the caller decides for how long a failure stands.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The last value of each key, fetched once for all who need it.
#[derive(Debug)]
pub struct OnceMap<K, V> {
    slots: Mutex<HashMap<K, Arc<Slot<V>>>>,
}

/// The mutex is held during a fetch: it makes the other callers of the key wait.
type Slot<V> = tokio::sync::Mutex<Option<(V, Instant)>>;

/// A kept value, as one caller finds it.
#[derive(Clone, Copy, Debug)]
pub struct KeptValue<'a, V> {
    /// The value.
    pub value: &'a V,
    /// The time since the value was fetched.
    pub age: Duration,
    /// True if the value was fetched while this caller waited.
    pub awaited: bool,
}

impl<K: Eq + Hash, V: Clone> OnceMap<K, V> {
    /// Returns the kept value of `key` if `serves` accepts it; else fetches and keeps another.
    ///
    /// If the caller is dropped while it fetches, the next one that waits fetches in its place.
    pub async fn get_if<F>(
        &self,
        key: K,
        serves: impl Fn(KeptValue<'_, V>) -> bool,
        fetch: impl FnOnce() -> F,
    ) -> V
    where
        F: Future<Output = V>,
    {
        let began = Instant::now();
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(key).or_default())
        };
        let mut slot = slot.lock().await;
        if let Some((value, fetched)) = &*slot
            && serves(KeptValue { value, age: fetched.elapsed(), awaited: *fetched >= began })
        {
            return value.clone();
        }
        let value = fetch().await;
        *slot = Some((value.clone(), Instant::now()));
        value
    }

    /// Returns the kept value of `key`; runs `fetch` if there is none.
    pub async fn get<F>(&self, key: K, fetch: impl FnOnce() -> F) -> V
    where
        F: Future<Output = V>,
    {
        self.get_if(key, |_| true, fetch).await
    }
}

impl<K, V> Default for OnceMap<K, V> {
    fn default() -> Self {
        Self { slots: Mutex::default() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::future::join_all;
    use futures::poll;
    use tokio::sync::Notify;

    use super::*;

    /// Counts its calls, and returns the number of each when it is told to.
    #[derive(Default)]
    struct Service {
        calls: AtomicU32,
        respond: Notify,
    }

    impl Service {
        async fn call(&self) -> u32 {
            let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
            self.respond.notified().await;
            number
        }
    }

    #[tokio::test]
    async fn callers_of_one_key_share_one_fetch() {
        let (map, service) = (OnceMap::default(), Service::default());
        let mut callers = Box::pin(join_all((0..50).map(|_| map.get("a", || service.call()))));
        assert!(poll!(&mut callers).is_pending());
        service.respond.notify_one();
        assert_eq!(callers.await, [1; 50]);
        assert_eq!(map.get("a", || service.call()).await, 1, "the value is kept");
    }

    #[tokio::test]
    async fn other_keys_do_not_wait() {
        let (map, slow, quick) = (OnceMap::default(), Service::default(), Service::default());
        let mut waiting = Box::pin(map.get("a", || slow.call()));
        assert!(poll!(&mut waiting).is_pending());
        quick.respond.notify_one();
        assert_eq!(map.get("b", || quick.call()).await, 1);
    }

    #[tokio::test]
    async fn the_next_caller_fetches_if_the_first_is_dropped() {
        let (map, service) = (OnceMap::default(), Service::default());
        let mut first = Box::pin(map.get("a", || service.call()));
        let mut second = Box::pin(map.get("a", || service.call()));
        assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
        assert_eq!(service.calls.load(Ordering::Relaxed), 1);
        drop(first);
        service.respond.notify_one();
        assert_eq!(second.await, 2);
    }

    /// Credentials that a service has refused are fetched again, once for all callers that they were refused to.
    #[tokio::test]
    async fn a_refused_value_is_fetched_again_once() {
        let (map, service) = (OnceMap::default(), Service::default());
        service.respond.notify_one();
        assert_eq!(map.get("a", || service.call()).await, 1);
        let other_than = |refused: u32| move |kept: KeptValue<'_, u32>| *kept.value != refused;
        let mut callers =
            Box::pin(join_all((0..50).map(|_| map.get_if("a", other_than(1), || service.call()))));
        assert!(poll!(&mut callers).is_pending());
        service.respond.notify_one();
        assert_eq!(callers.await, [2; 50]);
    }

    /// A service that has failed is left alone for a while.
    #[tokio::test(start_paused = true)]
    async fn a_value_has_an_age() {
        let (map, service) = (OnceMap::default(), Service::default());
        let young = |kept: KeptValue<'_, u32>| kept.age < Duration::from_mins(1);
        service.respond.notify_one();
        assert_eq!(map.get_if("a", young, || service.call()).await, 1);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(map.get_if("a", young, || service.call()).await, 1);
        tokio::time::advance(Duration::from_secs(1)).await;
        service.respond.notify_one();
        assert_eq!(map.get_if("a", young, || service.call()).await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_that_came_while_a_caller_waited_is_known_as_such() {
        let (map, service) = (OnceMap::default(), Service::default());
        let awaited = |kept: KeptValue<'_, u32>| kept.awaited;
        let mut first = Box::pin(map.get_if("a", awaited, || service.call()));
        let mut second = Box::pin(map.get_if("a", awaited, || service.call()));
        assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
        tokio::time::advance(Duration::from_secs(5)).await;
        service.respond.notify_one();
        assert_eq!((first.await, second.await), (1, 1));
        tokio::time::advance(Duration::from_secs(5)).await;
        service.respond.notify_one();
        assert_eq!(map.get_if("a", awaited, || service.call()).await, 2, "the value was there before");
    }
}
