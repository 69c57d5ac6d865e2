//! Named defects that the core can be given at run time, to prove that the simulation would find them.

/// The law of the engine that a defect breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Law {
    /// 1: every question gets exactly one verdict, before its budget ends.
    OneVerdict,
    /// 2: nothing is visible outside before the verdict.
    NothingBefore,
    /// 3: a failing hook never changes the event, and deny is final.
    FailureIsInert,
    /// 4: the same event, configuration and answers give the same verdict.
    SameVerdict,
    /// 5: every call ends in exactly one outcome.
    OneOutcome,
    /// 6: for one hook and one key notices start in order, and no hook delays another.
    Order,
    /// 7: a notice of the log is done with when it is delivered or given up, and not before.
    Kept,
    /// Publish sessions of one key are told in their order.
    Epochs,
    /// The breaker opens, waits, probes and closes as its numbers say.
    Breaker,
    /// Queues, limits, retries and selectors do what the configuration says.
    Policies,
}

macro_rules! mutations {
    ($($law:ident { $( $(#[doc = $doc:literal])+ $name:ident = $word:literal, )* })*) => {
        /// One defect.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Mutation { $($( $(#[doc = $doc])+ $name, )*)* }

        impl Mutation {
            /// All of them.
            pub const ALL: &[Self] = &[$($(Self::$name,)*)*];

            /// Its name on the command line.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($(Self::$name => $word,)*)* }
            }

            /// The law that it breaks.
            #[must_use]
            pub const fn law(self) -> Law {
                match self { $($(Self::$name => Law::$law,)*)* }
            }
        }
    };
}

mutations! {
    OneVerdict {
        /// A question that a failing hook was let through gets its verdict twice.
        VerdictTwice = "verdict-twice",
        /// A call that is not answered by its deadline leaves its question open.
        TimeoutForgotten = "timeout-forgotten",
        /// A hook gets its own timeout whatever is left of the chain's budget.
        BudgetForgotten = "budget-forgotten",
        /// Waiting for a hook's room has no end.
        WaitingUntimed = "waiting-untimed",
    }
    NothingBefore {
        /// Hooks that only listen are told of a question before its verdict.
        ToldBeforeVerdict = "told-before-verdict",
        /// The first hook that allows ends the chain.
        AllowEndsChain = "allow-ends-chain",
        /// A hook without room is passed over.
        BusyMeansAllow = "busy-means-allow",
        /// Hooks that only listen see the secrets of a question.
        SecretsTold = "secrets-told",
    }
    FailureIsInert {
        /// A failure takes back what an earlier hook replaced.
        FailureForgetsReplacement = "failure-forgets-replacement",
        /// A failure with the policy deny lets the question through.
        FailureAllows = "failure-allows",
        /// A later hook is asked after a deny.
        DenyOverturned = "deny-overturned",
        /// A question that got through by failure does not say so.
        FailopenUnmarked = "failopen-unmarked",
    }
    SameVerdict {
        /// The first replacement stands instead of the last.
        FirstReplacementWins = "first-replacement-wins",
        /// The chain is walked from its end.
        ChainReversed = "chain-reversed",
        /// Hooks see the question as it was asked, not as the hook before left it.
        OriginalSeen = "original-seen",
        /// A reload changes the chain of a question that is under way.
        ReloadReachesQuestions = "reload-reaches-questions",
        /// An answer after its deadline counts, so the verdict depends on who is quicker.
        LateAnswerCounts = "late-answer-counts",
    }
    OneOutcome {
        /// A broken connection is settled twice.
        SettledTwice = "settled-twice",
        /// A cancelled call has no outcome.
        CancelUnsettled = "cancel-unsettled",
        /// A crashed program's call has no outcome.
        CrashUnsettled = "crash-unsettled",
    }
    Order {
        /// A notice starts although the one before it still runs.
        LaneIgnored = "lane-ignored",
        /// A later notice overtakes those that wait.
        LaneReversed = "lane-reversed",
        /// A notice that waits for its next try lets the next one pass at once.
        RetryFreesLane = "retry-frees-lane",
        /// A notice that waits for its next try holds its lane for hours.
        RetryHoldsLane = "retry-holds-lane",
        /// Hooks of one group run at the same time.
        GroupIgnored = "group-ignored",
        /// All streams share one lane, so that one delays all.
        LanesMerged = "lanes-merged",
        /// While the receiver is not there, notices pass one that waits for it.
        AwayFreesLane = "away-frees-lane",
        /// A success does not bring forward what waits for the receiver.
        AwayNotBroughtForward = "away-not-brought-forward",
        /// A receiver that is away is only tried when the schedule of a notice says so.
        NeverProbed = "never-probed",
        /// Each event has its whole schedule, though the receiver is away and an earlier one was given up.
        NeverImpatient = "never-impatient",
        /// The hook that comes first takes every place that becomes free.
        TurnsUnfair = "turns-unfair",
        /// A slow hook takes the places that are kept for others.
        OneTakesAll = "one-takes-all",
    }
    Kept {
        /// A notice is done with when it is sent.
        AcknowledgedWhenSent = "acknowledged-when-sent",
        /// What is under way to a hook that is disabled is done with.
        DisabledAcknowledged = "disabled-acknowledged",
        /// An event of the log for which there is no room is passed over.
        FullIsPassedOver = "full-is-passed-over",
        /// What was passed over because its lane stood still is never asked for again.
        ParkedForgotten = "parked-forgotten",
        /// A full queue drops notices of the log.
        LogIsDropped = "log-is-dropped",
    }
    Epochs {
        /// Events of a stream are ordered by connection, so that a takeover's start passes the stop.
        LanePerConnection = "lane-per-connection",
        /// Events of later publish sessions pass those of earlier ones that wait.
        NewEpochFirst = "new-epoch-first",
    }
    Breaker {
        /// It never opens.
        BreakerNeverOpens = "breaker-never-opens",
        /// It opens after half as many calls.
        BreakerOpensEarly = "breaker-opens-early",
        /// It never lets a probe through.
        BreakerNeverReopens = "breaker-never-reopens",
        /// It lets any number of probes through.
        BreakerProbesFreely = "breaker-probes-freely",
        /// One good probe closes it.
        BreakerClosesAtOnce = "breaker-closes-at-once",
        /// Its pauses do not grow.
        BreakerNeverDoubles = "breaker-never-doubles",
        /// Calls of an hour ago count.
        BreakerNeverForgets = "breaker-never-forgets",
        /// Cancelled calls count as failures.
        BreakerCountsCancels = "breaker-counts-cancels",
    }
    Policies {
        /// A full queue drops the newest.
        DropsNewest = "drops-newest",
        /// Some drops are not told to the hook.
        DropsUncounted = "drops-uncounted",
        /// The same drops are told again.
        DropsToldTwice = "drops-told-twice",
        /// A hook gets more calls at once than it wants.
        ConcurrencyIgnored = "concurrency-ignored",
        /// All hooks together get more calls at once than configured.
        SharedLimitIgnored = "shared-limit-ignored",
        /// A call that timed out keeps its place in the limit over all hooks.
        RoomLeaks = "room-leaks",
        /// A hook gets more calls a second than it wants.
        RateIgnored = "rate-ignored",
        /// A receiver that is too slow, or says that there are too many, gets as many calls as ever.
        NeverSlowsDown = "never-slows-down",
        /// Pauses are not those of the hook's own schedule.
        ScheduleIgnored = "schedule-ignored",
        /// A try that a success brought forward takes one of the schedule.
        BroughtForwardCounts = "brought-forward-counts",
        /// A notice is tried more often than configured.
        RetriesUnlimited = "retries-unlimited",
        /// A handler's wish for a pause is followed whatever it is.
        RetryAfterUnbounded = "retry-after-unbounded",
        /// A program that failed is started again although it did not ask for it.
        RunRetried = "run-retried",
        /// A hook that wants no more calls gets them.
        DisabledCalled = "disabled-called",
        /// Hooks see streams that they did not select.
        StreamsIgnored = "streams-ignored",
    }
}
