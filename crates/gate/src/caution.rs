//! Where the gate counts denials, and where it lets those wait that had many, or ask much at once.

use crate::guessing::{Guesses, LONGEST_DELAY, Turn};
use crate::places::{Found, Place, Places};
use crate::{About, Gate, Refusal};
use jackfield_events::notices::AuthFailed;
use jackfield_events::{Denial, EventType};
use jackfield_runtime::clock;
use jackfield_sessions::Connection;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is known of clients that ask.
#[derive(Debug, Default)]
pub(crate) struct Caution {
    /// The denials of the last minute; `None` where nobody is slowed down.
    guesses: Mutex<Option<Guesses>>,
    places: Arc<Places>,
}

impl Caution {
    fn guesses(&self) -> MutexGuard<'_, Option<Guesses>> {
        self.guesses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate {
    /// From now on, so many denials a minute of one address make it wait before it is asked about again; `None` never
    /// does. What was counted before is forgotten. Clients without an [`origin`](Connection::origin) never wait.
    ///
    /// With it an address has 32 questions under way at most; further ones wait for those, for 10 s, and are refused then.
    pub fn slow_guessing(&self, denials_per_minute: Option<NonZeroU32>) {
        *self.0.caution.guesses() = denials_per_minute.map(Guesses::new);
    }

    /// Waits until the client may be asked about. Dropping the future does not give the turn back: who goes and comes
    /// again is not to be faster.
    ///
    /// # Errors
    /// [`Refusal`] if too many questions about its address wait.
    pub(crate) async fn take_turn(&self, connection: &Connection, prefix: &str) -> Result<(), Refusal> {
        let Some(origin) = connection.origin() else { return Ok(()) };
        let now = clock::now();
        let turn = match &mut *self.0.caution.guesses() {
            Some(guesses) => guesses.turn(now, origin, prefix),
            None => return Ok(()),
        };
        match turn {
            Turn::At(at) if at <= now => Ok(()),
            Turn::At(at) => {
                tracing::debug!(delay_ms = millis(at - now), "The question waits after many denials");
                clock::sleep_until(at).await;
                Ok(())
            }
            Turn::Never => Err(Refusal::unasked()),
        }
    }

    /// Waits until the client has few enough questions under way, and holds a place for this one; `None` if it needs none.
    /// Cancel-safe.
    ///
    /// # Errors
    /// [`Refusal`] if that takes too long, or its address was denied often meanwhile.
    pub(crate) async fn take_place(&self, about: About<'_>) -> Result<Option<Place>, Refusal> {
        let About { connection, prefix, .. } = about;
        let slows = || self.0.caution.guesses().is_some();
        let Some(origin) = connection.origin().filter(|_| slows()) else { return Ok(None) };
        let mut place = self.0.caution.places.enter(origin);
        if place.try_take() == Found::No {
            let deadline = clock::now().after(LONGEST_DELAY);
            if clock::until(deadline, place.take()).await.is_none() {
                return Err(Refusal::unasked());
            }
            // Those before it may have been guesses.
            self.take_turn(connection, prefix).await?;
        }
        Ok(Some(place))
    }

    /// A hook denied a question: counts it and tells.
    pub(crate) fn count_denial(&self, about: About<'_>, question: EventType, denial: &Denial) {
        let About { connection, prefix, .. } = about;
        let counted = connection.origin().and_then(|origin| {
            self.0.caution.guesses().as_mut().map(|guesses| guesses.denied(clock::now(), origin, prefix))
        });
        let peer = connection.peer();
        self.0.bus.emit(
            &connection.scope(),
            &AuthFailed {
                client_ip: peer.client.ip(),
                protocol: peer.protocol,
                question: question.name().into(),
                app: prefix.split('/').next().unwrap_or_default().into(),
                hook: denial.hook.clone(),
                code: denial.reason.code.as_ref().map(|code| self.0.bus.masker().mask_text(code).into()),
                denials: counted.map(|counted| counted.denials),
                delay_ms: counted.map_or(0, |counted| millis(counted.delay)),
                unasked: counted.map_or(0, |counted| counted.unasked),
            },
        );
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
