//! Finding records again: from the newest on, in memory first, then on disk in a thread of its own.

use super::delivery::{Delivery, Entry, QuestionTrace};
use super::filter::{DeliveryCursor, DeliveryFilter, DeliveryPage, PageOf, Subject};
use super::store::Store;
use super::summary::{Gathering, Summary, Term};
use jackfield_hooks::DeliveryId;
use jackfield_journal::{Limit, Reader};
use jackfield_media::{ConnId, UnixTime};
use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Records that a page looks at.
const PAGE_BUDGET: u64 = 20_000;
/// Records that the search for one delivery, or for a session, looks at.
const WHOLE_BUDGET: u64 = 2_000_000;
/// Records that are read at once.
const BATCH: usize = 256;
/// How far the times of neighbouring records may be out of order, in microseconds: the wall clock is set now and then.
const DISORDER: i64 = 60_000_000;

/// The page of a list.
pub(super) async fn list(store: &Arc<Store>, filter: &DeliveryFilter, page: PageOf) -> DeliveryPage {
    let listing = Listing {
        filter: filter.clone(),
        limit: page.limit.max(1),
        before: page.before,
        page: DeliveryPage::default(),
    };
    // Nothing of the record itself is left when `within` is 0.
    let before =
        page.before.map_or(u64::MAX, |cursor| cursor.position.saturating_add(u64::from(cursor.within > 0)));
    let bounds = Bounds { before, since: filter.since, until: filter.until, budget: PAGE_BUDGET };
    let Some((listing, end)) = run(store, listing, bounds).await else { return DeliveryPage::default() };
    let mut page = listing.page;
    page.looked_at = end.looked_at;
    // It is set already if the page is full.
    page.next = page.next.or(end.goes_on_before.map(|position| DeliveryCursor { position, within: 0 }));
    page
}

/// What is looked for in all that is kept.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted {
    Delivery(DeliveryId),
    Questions(Subject),
}

/// What a search for one thing found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) deliveries: Vec<Arc<Delivery>>,
    pub(super) questions: Vec<Arc<QuestionTrace>>,
    pub(super) conn_id: Option<ConnId>,
    /// `None`: to the oldest record.
    pub(super) searched_back_to: Option<UnixTime>,
}

/// Everything that fits.
pub(super) async fn all(store: &Arc<Store>, wanted: Wanted) -> Found {
    let bounds = Bounds { before: u64::MAX, since: None, until: None, budget: WHOLE_BUDGET };
    let finding = Finding { wanted, found: Found::default() };
    let Some((finding, end)) = run(store, finding, bounds).await else { return Found::default() };
    let mut found = finding.found;
    found.searched_back_to = end.goes_on_before.and(end.oldest);
    found
}

/// Where a search begins and ends.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    before: u64,
    since: Option<UnixTime>,
    until: Option<UnixTime>,
    budget: u64,
}

/// How a search ended.
#[derive(Debug, Clone, Copy, Default)]
struct End {
    looked_at: u64,
    /// Time of the oldest record that was looked at.
    oldest: Option<UnixTime>,
    /// The budget ended there, and there may be more.
    goes_on_before: Option<u64>,
}

/// What is done with each entry, from the newest on.
trait Look: Send + 'static {
    /// Whether anything in a block with this summary can be of interest.
    fn may_be_in(&self, summary: &Summary) -> bool;

    fn look(&mut self, position: u64, entry: &Entry) -> ControlFlow<()>;
}

/// Shows the entries to `look`. `None` if the server is ending.
async fn run<L: Look>(store: &Arc<Store>, mut look: L, bounds: Bounds) -> Option<(L, End)> {
    store.take_in();
    let (recent, before) = store.recent(bounds.before);
    let mut end = End::default();
    for (position, entry) in &recent {
        if let Break(()) = end.look(&mut look, &bounds, *position, entry) {
            return Some((look, end));
        }
    }
    let Some(disk) = &store.disk else { return Some((look, end)) };
    let _permit = store.searches.acquire().await.ok()?;
    let (reader, found_by) = (disk.reader.clone(), Arc::clone(store));
    let bounds = Bounds { before, ..bounds };
    let searching = disk.tasks.blocking("deliveries-search", move || {
        read(&found_by, &reader, &mut look, &bounds, &mut end);
        (look, end)
    });
    searching.join().await
}

/// Reads the journal back until the search is over. What it reads it summarises, and it passes over what was summarised
/// and is of no interest; that counts as one record.
fn read<L: Look>(store: &Store, reader: &Reader, look: &mut L, bounds: &Bounds, end: &mut End) {
    let mut before = bounds.before;
    if let Some(until) = bounds.until
        && let Ok(position) = reader.position_before(UnixTime(until.0.saturating_add(DISORDER)))
    {
        before = before.min(position.saturating_add(1));
    }
    let mut gathering = Gathering::default();
    gathering.jump(before);
    loop {
        if let Some((summary, begins)) = store.summaries().before(before)
            && !look.may_be_in(&summary)
        {
            end.looked_at += 1;
            before = begins;
            gathering.jump(before);
            if reader.first().is_none_or(|first| before <= first) {
                return;
            }
            continue;
        }
        let batch = match reader.read_before(before, Limit::records(BATCH)) {
            Ok(batch) => batch,
            Err(error) => {
                tracing::warn!(%error, "Stored deliveries cannot be read");
                return;
            }
        };
        for record in &batch.records {
            let entry = Entry::parse(&record.body);
            if let Some(finished) = gathering.record(record.position, entry.as_ref()) {
                store.summaries().keep(finished);
            }
            let Some(entry) = entry else {
                store.unreadable.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            if let Break(()) = end.look(look, bounds, record.position, &entry) {
                return;
            }
        }
        if batch.up_to == 0 {
            if let Some(finished) = gathering.finish() {
                store.summaries().keep(finished);
            }
            return;
        }
        before = batch.up_to;
    }
}

impl End {
    fn look<L: Look>(
        &mut self,
        look: &mut L,
        bounds: &Bounds,
        position: u64,
        entry: &Entry,
    ) -> ControlFlow<()> {
        if bounds.since.is_some_and(|since| entry.at().0 < since.0.saturating_sub(DISORDER)) {
            return Break(());
        }
        if self.looked_at >= bounds.budget {
            self.goes_on_before = Some(position.saturating_add(1));
            return Break(());
        }
        self.looked_at += 1;
        self.oldest = Some(entry.at());
        look.look(position, entry)
    }
}

#[derive(Debug)]
struct Listing {
    filter: DeliveryFilter,
    limit: usize,
    before: Option<DeliveryCursor>,
    page: DeliveryPage,
}

impl Look for Listing {
    fn may_be_in(&self, summary: &Summary) -> bool {
        let filter = &self.filter;
        let terms = [
            filter.hook.as_ref().map(|hook| Term::Hook(hook.as_str())),
            filter.event.map(Term::Event),
            filter.key.as_ref().map(|key| Term::Key(key.as_str())),
            filter.outcome.map(Term::Outcome),
            filter.session_id.map(Term::Session),
            filter.conn_id.map(Term::Conn),
            filter.event_id.map(Term::EventId),
        ];
        terms.into_iter().flatten().all(|term| summary.may_hold(term))
    }

    fn look(&mut self, position: u64, entry: &Entry) -> ControlFlow<()> {
        for (within, delivery) in (0..).zip(entry.deliveries()).collect::<Vec<(u32, _)>>().into_iter().rev() {
            let cursor = DeliveryCursor { position, within };
            if self.before.is_some_and(|before| cursor >= before) || !self.filter.matches(delivery) {
                continue;
            }
            self.page.items.push(Arc::clone(delivery));
            if self.page.items.len() >= self.limit {
                self.page.next = Some(cursor);
                return Break(());
            }
        }
        Continue(())
    }
}

#[derive(Debug)]
struct Finding {
    wanted: Wanted,
    found: Found,
}

impl Look for Finding {
    fn may_be_in(&self, summary: &Summary) -> bool {
        let of_conn = |conn: Option<ConnId>| conn.is_some_and(|conn| summary.may_hold(Term::Conn(conn)));
        match self.wanted {
            Wanted::Delivery(id) => summary.may_hold(Term::Delivery(id)),
            Wanted::Questions(Subject::Connection(conn)) => of_conn(Some(conn)),
            Wanted::Questions(Subject::Session(session)) => {
                summary.may_hold(Term::Session(session)) || of_conn(self.found.conn_id)
            }
        }
    }

    fn look(&mut self, _position: u64, entry: &Entry) -> ControlFlow<()> {
        match (self.wanted, entry) {
            (Wanted::Delivery(id), entry) => {
                for delivery in entry.deliveries().into_iter().filter(|delivery| delivery.id == id) {
                    self.found.deliveries.push(Arc::clone(delivery));
                    if delivery.attempt == 1 {
                        return Break(());
                    }
                }
            }
            (Wanted::Questions(subject), Entry::Question(question)) => {
                let fits = match subject {
                    Subject::Connection(conn) => question.conn_id == Some(conn),
                    Subject::Session(session) if question.session_id == Some(session) => true,
                    // Of its connection, before it had a session.
                    Subject::Session(_) => {
                        question.session_id.is_none()
                            && question.conn_id.is_some()
                            && question.conn_id == self.found.conn_id
                    }
                };
                if fits {
                    self.found.conn_id = question.conn_id;
                    self.found.questions.push(Arc::clone(question));
                }
            }
            (Wanted::Questions(_), Entry::Notice(_)) => {}
        }
        Continue(())
    }
}
