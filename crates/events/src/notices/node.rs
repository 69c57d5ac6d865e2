//! What happens to the server itself.

use crate::spec::define;
use crate::{DisabledReason, LossCause};
use jackfield_media::Text;

define! {
    /// Notices are lost: they could not be stored and memory did not hold them any longer, or what was stored is gone.
    /// Told at most every 10 s for each cause.
    Notice EventsLost "events_lost" by Connection logs "Events lost" {
        /// How many at most: `seq` may leave gaps.
        count: u64 = 312,
        /// `seq` of the first of them.
        first_seq: Text = "4711",
        /// `seq` of the last of them.
        last_seq: Text = "5022",
        /// Why: `disk_full`, `disk_error`, `disk_slow` or `log_removed`.
        cause: LossCause = "disk_full",
    }

    /// A hook is called no more, until somebody enables it again.
    Notice HookDisabled "hook_disabled" by Connection logs "Hook disabled" {
        /// Its name.
        hook: Text = "notify",
        /// Why: `gone` (the webhook answered 410) or `operator`.
        reason: DisabledReason = "gone",
    }
}
