//! Pages of a list: which part an address asks for, and the addresses of the parts next to it.
//!
//! A page is named by the row it follows or precedes, never by a number of rows to skip: the millionth page costs what
//! the first does.

use super::page::{self, Pager};
use crate::store::Part;
use serde::Deserialize;

/// The part of an address that says which page.
#[derive(Deserialize, Clone, Default, Debug)]
#[serde(default)]
pub(super) struct Paging {
    /// The place of the row before the first.
    after: String,
    /// The place of the row after the last.
    before: String,
    /// The number of the first row, for the result line only.
    from: String,
}

/// What the result line says of the list.
pub(super) struct Total {
    /// How many rows there are, or more than [`page::COUNT_LIMIT`].
    pub(super) count: i64,
    /// Whether that is all of them.
    pub(super) exact: bool,
    /// What one row is called.
    pub(super) one: &'static str,
    /// What several are called.
    pub(super) many: &'static str,
}

impl Paging {
    /// Where the page begins. A place that cannot be read is the top of the list.
    pub(super) fn part<P>(&self, read: impl Fn(&str) -> Option<P>) -> Part<P> {
        let (wanted, part): (_, fn(P) -> Part<P>) = if self.backwards() {
            (&self.before, Part::Before)
        } else {
            (&self.after, Part::After)
        };
        read(wanted).map_or(Part::First, part)
    }

    fn backwards(&self) -> bool {
        self.after.is_empty() && !self.before.is_empty()
    }

    /// Cuts the row too many that was read to learn whether there is another page, and makes the ways to the pages next
    /// to this one. `place` names a row's place, `url` makes the address of a page from its query.
    pub(super) fn pager<R>(
        &self,
        rows: &mut Vec<R>,
        most: i64,
        total: &Total,
        place: impl Fn(&R) -> String,
        url: impl Fn(&[(&str, &str)]) -> String,
    ) -> Pager {
        let backwards = self.backwards();
        let at_the_top = self.after.is_empty() && self.before.is_empty();
        let more = cut(rows, most, backwards);
        let first = if at_the_top {
            1
        } else {
            self.from.parse().unwrap_or(1).clamp(1, 100_000_000)
        };
        let shown = i64::try_from(rows.len()).unwrap_or(most);
        let address = |name: &str, row: &R, from: i64| {
            url(&[(name, &place(row)), ("from", &from.max(1).to_string())])
        };
        let has_previous = if backwards { more } else { !at_the_top };
        let has_next = backwards || more;
        Pager {
            line: page::result_line(
                first,
                shown,
                total.count,
                total.exact,
                total.one,
                total.many,
            ),
            previous: rows
                .first()
                .filter(|_| has_previous)
                .map(|row| address("before", row, first - most)),
            next: rows
                .last()
                .filter(|_| has_next)
                .map(|row| address("after", row, first + shown)),
        }
    }
}

fn cut<R>(rows: &mut Vec<R>, most: i64, backwards: bool) -> bool {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let more = rows.len() > most;
    if more && backwards {
        rows.remove(0);
    } else if more {
        rows.truncate(most);
    }
    more
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pager(paging: &Paging, rows: &mut Vec<i64>) -> (String, Option<String>, Option<String>) {
        let total = Total {
            count: 9,
            exact: true,
            one: "row",
            many: "rows",
        };
        let url =
            |query: &[(&str, &str)]| format!("{}={}&from={}", query[0].0, query[0].1, query[1].1);
        let pager = paging.pager(rows, 3, &total, ToString::to_string, url);
        (pager.line, pager.previous, pager.next)
    }

    #[test]
    fn pages_lead_to_their_neighbours() {
        let (line, previous, next) = pager(&Paging::default(), &mut vec![1, 2, 3, 4]);
        assert_eq!((line.as_str(), previous), ("Showing 1–3 of 9 rows", None));
        assert_eq!(next.as_deref(), Some("after=3&from=4"));

        let after = Paging {
            after: "3".to_owned(),
            from: "4".to_owned(),
            ..Paging::default()
        };
        let (line, previous, next) = pager(&after, &mut vec![4, 5, 6]);
        assert_eq!(line, "Showing 4–6 of 9 rows");
        assert_eq!(previous.as_deref(), Some("before=4&from=1"));
        assert_eq!(next, None);

        let before = Paging {
            before: "7".to_owned(),
            from: "4".to_owned(),
            ..Paging::default()
        };
        let mut rows = vec![3, 4, 5, 6];
        let (_, previous, next) = pager(&before, &mut rows);
        assert_eq!(rows, [4, 5, 6]);
        assert_eq!(previous.as_deref(), Some("before=4&from=1"));
        assert_eq!(next.as_deref(), Some("after=6&from=7"));
    }
}
