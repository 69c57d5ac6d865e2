//! Which cells of the tables are tried: all of them, or as many as bring every two properties together once.

use super::Transport;
use jackfield_e2e::{Codecs, PlayerKind, PublisherKind, all_cases};
use std::collections::BTreeSet;

/// One way from a publisher to a player.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cell {
    pub transport: Transport,
    pub codecs: Codecs,
    pub publisher: PublisherKind,
    pub player: PlayerKind,
}

impl Cell {
    /// Why there cannot be media in it.
    pub(super) fn impossible(&self) -> Option<&'static str> {
        self.publisher.cannot(self.codecs).or_else(|| self.player.cannot(self.codecs))
    }

    /// Every two of its properties.
    fn pairs(&self) -> [Pair; 6] {
        let [t, c, s, p] = [
            Property::Transport(self.transport),
            Property::Codecs(self.codecs),
            Property::Publisher(self.publisher),
            Property::Player(self.player),
        ];
        [(t, c), (t, s), (t, p), (c, s), (c, p), (s, p)]
    }
}

type Pair = (Property, Property);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Property {
    Transport(Transport),
    Codecs(Codecs),
    Publisher(PublisherKind),
    Player(PlayerKind),
}

/// Every cell that can be, over these transports.
fn possible(transports: &[Transport]) -> Vec<Cell> {
    let mut cells = vec![];
    for &transport in transports {
        for codecs in Codecs::ALL {
            for publisher in PublisherKind::ALL {
                let all = PlayerKind::ALL.into_iter();
                let row = all.map(|player| Cell { transport, codecs, publisher, player });
                cells.extend(row.filter(|cell| cell.impossible().is_none()));
            }
        }
    }
    cells
}

/// The cells of this run.
pub(super) fn chosen() -> Vec<Cell> {
    let cells = possible(&Transport::ALL);
    if all_cases() { cells } else { cover(&cells) }
}

/// As few of the cells as a greedy choice finds that have every pair of properties that some cell has.
fn cover(cells: &[Cell]) -> Vec<Cell> {
    let mut open: BTreeSet<Pair> = cells.iter().flat_map(Cell::pairs).collect();
    let mut found = vec![];
    while !open.is_empty() {
        let news = |cell: &Cell| cell.pairs().iter().filter(|pair| open.contains(pair)).count();
        let Some(best) = cells.iter().rev().max_by_key(|cell| news(cell)) else { break };
        for pair in best.pairs() {
            open.remove(&pair);
        }
        found.push(*best);
    }
    found
}

#[test]
fn a_cover_has_every_pair_in_few_cells() {
    let all = possible(&[Transport::Rtmp, Transport::Rtmps]);
    let some = cover(&all);
    let pairs = |cells: &[Cell]| cells.iter().flat_map(Cell::pairs).collect::<BTreeSet<_>>();
    assert_eq!(pairs(&all), pairs(&some));
    assert!(some.len() * 3 < all.len(), "{} of {}", some.len(), all.len());
}
