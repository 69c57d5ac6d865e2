//! How many questions about one client are under way at once.
//!
//! A hook has room for so many calls, and its queue for so many questions. Without a bound for each client one address could
//! take all of it, from a thousand connections, and the publishers of others would be refused for want of room; it could
//! guess as often as it has connections before its first denial is known; and take its questions back before they are
//! answered, so that none ever is. So each client has some places, and further questions wait for one.

use jackfield_sessions::Origin;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Questions of one client that are under way at once. Three times as many as a hook takes by default: who has them all
/// delays others by three calls.
const PLACES: usize = 32;

/// The places of all clients that have some now.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<HashMap<Origin, Client>>);

#[derive(Debug)]
struct Client {
    /// Questions that have a place or wait for one.
    questions: usize,
    places: Arc<Semaphore>,
}

impl Places {
    /// A question about this client; it has no place yet.
    pub(crate) fn enter(self: &Arc<Self>, origin: Origin) -> Place {
        let mut clients = self.clients();
        let client = clients
            .entry(origin)
            .or_insert_with(|| Client { questions: 0, places: Arc::new(Semaphore::new(PLACES)) });
        client.questions += 1;
        let places = Arc::clone(&client.places);
        drop(clients);
        Place { table: Arc::clone(self), origin, places, taken: None }
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<Origin, Client>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question's place, or its wait for one. It is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    table: Arc<Places>,
    origin: Origin,
    places: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
}

/// Whether there was a place at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Yes,
    No,
}

impl Place {
    /// Takes a place if there is one.
    pub(crate) fn try_take(&mut self) -> Found {
        self.taken = Arc::clone(&self.places).try_acquire_owned().ok();
        if self.taken.is_some() { Found::Yes } else { Found::No }
    }

    /// Waits for a place behind those that wait already. Cancel-safe.
    pub(crate) async fn take(&mut self) {
        // Nobody closes it.
        self.taken = Arc::clone(&self.places).acquire_owned().await.ok();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.taken.take());
        let mut clients = self.table.clients();
        if let Some(client) = clients.get_mut(&self.origin) {
            client.questions -= 1;
            if client.questions == 0 {
                clients.remove(&self.origin);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_runtime::clock;
    use std::time::Duration;

    fn origin(last: u8) -> Origin {
        Origin::of([203, 0, 113, last].into())
    }

    fn full(places: &Arc<Places>, who: Origin) -> Vec<Place> {
        let take = |_| {
            let mut place = places.enter(who);
            assert_eq!(place.try_take(), Found::Yes);
            place
        };
        (0..PLACES).map(take).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_none_waits_until_one_is_given_back() {
        let places = Arc::default();
        let mut taken = full(&places, origin(7));
        let mut late = places.enter(origin(7));
        assert_eq!(late.try_take(), Found::No);
        let soon = || clock::now().after(Duration::from_secs(1));
        assert!(clock::until(soon(), late.take()).await.is_none());
        drop(taken.pop());
        assert!(clock::until(soon(), late.take()).await.is_some());
        assert_eq!(places.enter(origin(7)).try_take(), Found::No);
    }

    #[tokio::test]
    async fn each_client_has_places_of_its_own() {
        let places = Arc::default();
        let _taken = full(&places, origin(7));
        assert_eq!(places.enter(origin(8)).try_take(), Found::Yes);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_without_questions_is_forgotten_and_none_before() {
        let places = Arc::default();
        let taken = full(&places, origin(7));
        let waiting = places.enter(origin(7));
        drop(taken);
        assert_eq!(places.clients().len(), 1);
        drop(waiting);
        assert_eq!(places.clients().len(), 0);
    }
}
