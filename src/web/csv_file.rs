//! CSV files: written for spreadsheets without a formula in them, and read as spreadsheets write them.

use super::problem::Problem;
use actix_web::{
    HttpResponse,
    http::header::{CONTENT_DISPOSITION, CONTENT_TYPE},
};
use csv::{ReaderBuilder, Terminator, Trim, Writer, WriterBuilder};
use std::borrow::Cow;

/// Rows of a kind in one file at most: what a spreadsheet and our memory take easily.
pub(super) const MOST_ROWS: i64 = 10_000;

/// Cells that begin with one of these are formulas to a spreadsheet (OWASP, "CSV Injection").
const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

/// What a spreadsheet in another language, or one that overlooks our quotes, may take for the end of a cell.
const SEPARATORS: [char; 6] = [';', ',', '\t', '\r', '\n', '"'];

/// A file being written (RFC 4180).
pub(super) struct CsvFile {
    writer: Writer<Vec<u8>>,
    columns: usize,
}

impl CsvFile {
    /// Begins with the names of the columns.
    ///
    /// # Errors
    /// A defect.
    pub(super) fn new(columns: &[&str]) -> Result<Self, Problem> {
        let mut file = Self {
            writer: WriterBuilder::new()
                .terminator(Terminator::CRLF)
                .from_writer(Vec::new()),
            columns: columns.len(),
        };
        file.row(columns)?;
        Ok(file)
    }

    /// Adds a row of as many cells as there are columns.
    ///
    /// # Errors
    /// Another number of cells: a defect.
    pub(super) fn row<T: AsRef<str>>(&mut self, cells: &[T]) -> Result<(), Problem> {
        let cells = cells.iter().map(|cell| harmless(cell.as_ref()));
        self.writer
            .write_record(cells.map(|cell| cell.into_owned().into_bytes()))
            .map_err(|error| broken(&error))
    }

    /// Adds a remark in the first cell of a row: what is missing, and how to get it.
    ///
    /// # Errors
    /// A defect.
    pub(super) fn remark(&mut self, text: &str) -> Result<(), Problem> {
        let mut cells = vec![""; self.columns];
        if let Some(first) = cells.first_mut() {
            *first = text;
        }
        self.row(&cells)
    }

    /// The answer: a download of this name.
    ///
    /// # Errors
    /// A defect.
    pub(super) fn download(self, name: &str) -> Result<HttpResponse, Problem> {
        let bytes = self
            .writer
            .into_inner()
            .map_err(|error| Problem::broken(format!("cannot write CSV: {}", error.error())))?;
        Ok(HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, "text/csv; charset=utf-8"))
            .insert_header((
                CONTENT_DISPOSITION,
                format!("attachment; filename=\"{name}\""),
            ))
            .body(bytes))
    }
}

fn broken(error: &csv::Error) -> Problem {
    Problem::broken(format!("cannot write CSV: {error}"))
}

/// The text with an apostrophe before what a spreadsheet would calculate.
fn harmless(text: &str) -> Cow<'_, str> {
    if !text.contains(FORMULA) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 1);
    let mut at_start = true;
    for c in text.chars() {
        if at_start && FORMULA.contains(&c) {
            out.push('\'');
        }
        at_start = SEPARATORS.contains(&c);
        out.push(c);
    }
    Cow::Owned(out)
}

/// A row of a file that was read: its number in a spreadsheet, from 1, and its cells without blanks around them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct CsvRow {
    pub(super) number: usize,
    pub(super) cells: Vec<String>,
}

/// Reads a file: UTF-8, with or without a byte order mark, any line ends, separated by commas, semicolons or tabs. Rows
/// without any text are left out.
///
/// # Errors
/// A sentence, when it is not text.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<CsvRow>, &'static str> {
    const NO_TEXT: &str = "This isn't a CSV file in UTF-8. Save it as “CSV UTF-8” and try again.";
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|_| NO_TEXT)?;
    if text.contains('\0') {
        return Err(NO_TEXT);
    }
    let mut text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut delimiter = delimiter(&text);
    // Excel's own way to say what separates: it is no row, but it is a line.
    if let [b's', b'e', b'p', b'=', separator, b'\n', ..] = *text.as_bytes()
        && separator.is_ascii()
    {
        delimiter = separator;
        text.replace_range(..5, "");
    }
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .delimiter(delimiter)
        .from_reader(text.as_bytes());
    let mut rows = Vec::new();
    let (mut counted, mut lines) = (0, 0);
    for record in reader.records() {
        let record = record.map_err(|_| NO_TEXT)?;
        if record.iter().all(str::is_empty) {
            continue;
        }
        let start = record.position().map_or(0, csv::Position::byte);
        let start = first_line(&text, usize::try_from(start).unwrap_or(0));
        // From where the row before began: the text is gone through once.
        lines += text
            .get(counted..start)
            .unwrap_or_default()
            .matches('\n')
            .count();
        counted = start;
        rows.push(CsvRow {
            number: lines + 1,
            cells: record.iter().map(str::to_owned).collect(),
        });
    }
    Ok(rows)
}

/// Where a row begins. The reader's position is where it began to look: empty lines before the row are not the row's.
fn first_line(text: &str, start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    start + rest.len() - rest.trim_start_matches('\n').len()
}

/// What separates the cells: whichever the first line that has any text has most of.
fn delimiter(text: &str) -> u8 {
    let line = text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    let count = |wanted: u8| {
        let mut quoted = false;
        line.bytes()
            .filter(|byte| {
                quoted ^= *byte == b'"';
                *byte == wanted && !quoted
            })
            .count()
    };
    // Of equally many the last wins: the comma.
    b"\t;,"
        .iter()
        .copied()
        .max_by_key(|byte| count(*byte))
        .unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_disarmed() {
        for (text, safe) in [
            ("=1+1", "'=1+1"),
            ("+49 30", "'+49 30"),
            ("-2", "'-2"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t'=1"),
            ("\r=1", "'\r'=1"),
            ("＝1", "'＝1"),
            ("a;=1+1", "a;'=1+1"),
            ("a\",@x", "a\",'@x"),
            ("Ada-Lovelace", "Ada-Lovelace"),
            ("ada+x@example.test", "ada+x@example.test"),
            ("", ""),
        ] {
            assert_eq!(harmless(text), safe, "{text:?}");
        }
    }

    #[test]
    fn rows_are_written_as_rfc_4180_says() {
        let mut file = CsvFile::new(&["Who", "What"]).unwrap();
        file.row(&["Ada \"the first\"", "one,\ntwo"]).unwrap();
        file.remark("More elsewhere").unwrap();
        let text = String::from_utf8(file.writer.into_inner().unwrap()).unwrap();
        assert_eq!(
            text,
            "Who,What\r\n\"Ada \"\"the first\"\"\",\"one,\ntwo\"\r\nMore elsewhere,\r\n"
        );
        let mut other = CsvFile::new(&["Who", "What"]).unwrap();
        assert!(other.row(&["too few"]).is_err());
    }

    fn cells(text: &[u8]) -> Vec<(usize, Vec<String>)> {
        read(text)
            .unwrap()
            .into_iter()
            .map(|row| (row.number, row.cells))
            .collect()
    }

    #[test]
    fn rows_are_read_as_spreadsheets_write_them() {
        let row =
            |number, email: &str, role: &str| (number, vec![email.to_owned(), role.to_owned()]);
        let both = vec![row(1, "a@x.io", "admin"), row(2, "b@x.io", "viewer")];
        assert_eq!(
            cells(b"sep=|\r\na,b@x.io|admin\r\n"),
            [row(2, "a,b@x.io", "admin")]
        );
        for text in [
            &b"a@x.io,admin\nb@x.io,viewer\n"[..],
            b"\xef\xbb\xbfa@x.io,admin\r\nb@x.io,viewer",
            b"a@x.io;admin\r\nb@x.io;viewer\r\n",
            b"a@x.io\tadmin\rb@x.io\tviewer\r",
            b"\"a@x.io\",\"admin\"\n b@x.io , viewer\n,,\n",
        ] {
            assert_eq!(cells(text), both, "{:?}", String::from_utf8_lossy(text));
        }
        assert_eq!(
            cells(b"\n\na@x.io,admin\n,\n\n\"b\nc\",x\nd,e\n"),
            [
                row(3, "a@x.io", "admin"),
                row(6, "b\nc", "x"),
                row(8, "d", "e")
            ]
        );
        assert_eq!(
            cells(b"\"Doe, Jane <j@x.io>\";member\n"),
            [row(1, "Doe, Jane <j@x.io>", "member")]
        );
        assert_eq!(cells(b""), []);
        assert!(read(b"a@x.io,\xffadmin").is_err());
        assert!(read(b"a@x.io,\0admin").is_err());
    }
}
