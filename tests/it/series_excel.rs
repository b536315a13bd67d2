//! Series out of Excel workbooks.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::PathBuf;

use siltstone::Result;
use siltstone::series::{Points, PointsOptions, read_points};
use zip::write::SimpleFileOptions;

/// A workbook of sheets, each given by the XML of its rows.
struct Book {
    folder: tempfile::TempDir,
    sheets: Vec<(String, String)>,
    is_1904: bool,
}

/// Cell styles: 0 plain, 1 a date and time, 2 a date, 3 a time of the day, 4 hours beyond a day.
const STYLES: &str = r#"<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">
<numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\-mm\-dd\ hh:mm:ss"/></numFmts>
<cellXfs count="5"><xf numFmtId="0"/><xf numFmtId="164"/><xf numFmtId="14"/><xf numFmtId="21"/><xf numFmtId="46"/></cellXfs></styleSheet>"#;

impl Book {
    fn new() -> Self {
        Book { folder: tempfile::tempdir().unwrap(), sheets: vec![], is_1904: false }
    }

    /// Adds a sheet of cells as `t"..."` (a text), `s1:45352.5` (a number of a style), `b1`, `e#N/A`, `fA1` (a formula that
    /// nobody calculated), a number, or nothing.
    fn sheet(mut self, name: &str, rows: &[&str]) -> Self {
        let mut xml = String::new();
        for (row, cells) in (1..).zip(rows) {
            write!(xml, r#"<row r="{row}">"#).unwrap();
            for (column, cell) in ('A'..).zip(cells.split('|')).filter(|(_, cell)| !cell.is_empty())
            {
                let (kind, value) = match (&cell[..1], cell.split_once(':')) {
                    ("t", _) => {
                        (r#" t="inlineStr""#.into(), format!("<is><t>{}</t></is>", &cell[1..]))
                    }
                    ("f", _) => (String::new(), format!("<f>{}</f><v></v>", &cell[1..])),
                    ("b", _) => (r#" t="b""#.into(), format!("<v>{}</v>", &cell[1..])),
                    ("e", _) => (r#" t="e""#.into(), format!("<v>{}</v>", &cell[1..])),
                    ("s", Some((style, n))) => {
                        (format!(r#" s="{}""#, &style[1..]), format!("<v>{n}</v>"))
                    }
                    _ => (String::new(), format!("<v>{cell}</v>")),
                };
                write!(xml, r#"<c r="{column}{row}"{kind}>{value}</c>"#).unwrap();
            }
            xml.push_str("</row>");
        }
        self.sheets.push((name.into(), xml));
        self
    }

    fn since_1904(mut self) -> Self {
        self.is_1904 = true;
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
        let of = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
        let package = "http://schemas.openxmlformats.org/package/2006";
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let mut put = |name: &str, text: &str| {
            zip.start_file(name, SimpleFileOptions::default()).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        };
        put("[Content_Types].xml", &format!(r#"<Types xmlns="{package}/content-types"/>"#));
        put(
            "_rels/.rels",
            &format!(
                r#"<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" Type="{of}/officeDocument" Target="xl/workbook.xml"/></Relationships>"#
            ),
        );
        let (mut sheets, mut links) = (String::new(), String::new());
        for (n, (name, xml)) in (1..).zip(&self.sheets) {
            write!(sheets, r#"<sheet name="{name}" sheetId="{n}" r:id="rId{n}"/>"#).unwrap();
            write!(links, r#"<Relationship Id="rId{n}" Type="{of}/worksheet" Target="worksheets/sheet{n}.xml"/>"#).unwrap();
            put(
                &format!("xl/worksheets/sheet{n}.xml"),
                &format!(r#"<worksheet xmlns="{main}"><sheetData>{xml}</sheetData></worksheet>"#),
            );
        }
        write!(links, r#"<Relationship Id="rId99" Type="{of}/styles" Target="styles.xml"/>"#)
            .unwrap();
        put("xl/styles.xml", STYLES);
        let epoch = if self.is_1904 { r#"<workbookPr date1904="1"/>"# } else { "" };
        put(
            "xl/workbook.xml",
            &format!(
                r#"<workbook xmlns="{main}" xmlns:r="{of}">{epoch}<sheets>{sheets}</sheets></workbook>"#
            ),
        );
        put(
            "xl/_rels/workbook.xml.rels",
            &format!(r#"<Relationships xmlns="{package}/relationships">{links}</Relationships>"#),
        );
        zip.finish().unwrap().into_inner()
    }

    fn path(&self) -> PathBuf {
        let path = self.folder.path().join("log.xlsx");
        std::fs::write(&path, self.bytes()).unwrap();
        path
    }

    fn read(&self, options: &PointsOptions) -> Result<Points> {
        read_points(self.path(), options)
    }

    fn refusal(&self, options: &PointsOptions) -> String {
        self.read(options).unwrap_err().to_string()
    }
}

/// What was read of a column: its index and values.
fn column(points: &Points, name: &str) -> Vec<String> {
    let series = points.series.iter().find(|series| series.name() == Some(name)).unwrap();
    let rows = siltstone::table::rows(&series.to_batch()).unwrap();
    rows.iter().map(|row| format!("{} {}", row[0].as_str().unwrap(), row[1])).collect()
}

fn taken_for(points: &Points) -> Vec<String> {
    points.columns.iter().map(ToString::to_string).collect()
}

const LOG: [&str; 4] = [
    "tTime|tlevel [m]|tnote|tvalid|tcount",
    "s1:45352.0069444444|0.1|t007, \"a\"|b1|1",
    "s1:45352|e#N/A|tb&#10;c|b0|2",
    "s1:45353.5|-2.5e-3||b1|3",
];

/// Goal: each kind of cell is the value that Excel shows, and the same options and reports hold as of a text.
#[test]
fn a_sheet_is_read_as_a_table() {
    let options = PointsOptions { time_zone: Some("Europe/Berlin".into()), ..Default::default() };
    let points = Book::new().sheet("Log", &LOG).read(&options).unwrap();
    assert_eq!(
        taken_for(&points),
        [
            "Time: timestamps of Europe/Berlin",
            "level [m]: numbers, 1 missing",
            "note: texts, 1 missing",
            "valid: true or false",
            "count: integers",
        ]
    );
    assert_eq!(
        points.notes[..],
        [
            "the sheet \"Log\" of an Excel workbook, cells whose line breaks became spaces: 1",
            "the index \"Time\" falls at line 3",
        ]
    );
    let level = column(&points, "level [m]");
    assert!(
        level[0].starts_with("2024-02-29T23:10:00Z") && level[0].ends_with(" 0.1"),
        "{level:?}"
    );
    assert!(
        level[2].starts_with("2024-03-02T11:00:00Z") && level[2].ends_with(" -0.0025"),
        "{level:?}"
    );
    let note = column(&points, "note");
    assert!(note[0].ends_with(r#" "007, \"a\"""#) && note[1].ends_with(r#" "b c""#), "{note:?}");
}

/// Goal: formulas without values are no missing cells in silence, and texts of digits keep their zeros.
#[test]
fn formulas_and_codes_are_not_lost() {
    let plain = PointsOptions::default();
    let rows = ["tt|tcode|tn", "s1:45352|t001|t1", "s1:45353|t100|t2", "s1:45354|t205|3"];
    let points = Book::new().sheet("a", &rows).read(&plain).unwrap();
    assert_eq!(taken_for(&points)[1..], ["code: texts", "n: integers"]);
    assert!(column(&points, "code")[0].ends_with(r#" "001""#), "{:?}", column(&points, "code"));
    let indexed = Book::new().sheet("a", &["tcode|tv", "t001|1", "t100|2"]).read(&plain).unwrap();
    assert_eq!(taken_for(&indexed)[0], "code: texts");
    let book =
        Book::new().sheet("a", &["fB2", "tt|tv", "s1:45352|1", "s1:45353|fB3", "s1:45354|fB4"]);
    let skip = PointsOptions { skip_lines: Some(1), ..Default::default() };
    let refused = book.refusal(&skip);
    assert!(refused.contains("cell B4: expected values of formulas"), "{refused}");
    assert!(refused.contains("got 2 formulas without a value"), "{refused}");
}

/// Goal: a workbook of the system of 1904 has its own days; a date and a time of the day beside each other are one time.
#[test]
fn dates_are_of_the_system_of_the_workbook() {
    let rows = ["tday|tclock|tv", "s2:43890|s3:0.5|1", "s2:43891|s3:0.25|2"];
    let times = |book: &Book| {
        let points = book.read(&PointsOptions::default()).unwrap();
        let found = column(&points, "v");
        (found, points.notes.join("; "))
    };
    let (found, notes) = times(&Book::new().sheet("a", &rows).since_1904());
    assert!(
        found[0].starts_with("2024-03-01T12:00:00") && found[1].starts_with("2024-03-02T06:00:00"),
        "{found:?}"
    );
    assert!(notes.contains("dates since 1904") && notes.contains("joined"), "{notes}");
    let (found, notes) = times(&Book::new().sheet("a", &rows));
    assert!(found[0].starts_with("2020-02-29T12:00:00"), "{found:?}");
    assert!(!notes.contains("1904"), "{notes}");
    let spans = Book::new().sheet("a", &["tafter|tv", "s4:1.5|1", "s4:2|2"]);
    let points = spans.read(&PointsOptions::default()).unwrap();
    assert_eq!(taken_for(&points)[0], "after: time spans");
}

/// Goal: of several sheets with cells one has to be named; a title over the header is not taken for it.
#[test]
fn what_is_unclear_in_a_workbook_is_refused() {
    let sheet = |sheet: &str| PointsOptions { sheet: Some(sheet.into()), ..Default::default() };
    let book = Book::new().sheet("one", &LOG).sheet("empty", &[]).sheet("two", &LOG);
    let plain = PointsOptions::default();
    assert!(
        book.refusal(&plain)
            .contains(r#"pass --sheet with the name of the one to take, got ["one", "two"]"#),
        "{}",
        book.refusal(&plain)
    );
    assert!(book.refusal(&sheet("three")).contains(r#"sheets ["one", "empty", "two"]"#));
    assert_eq!(book.read(&sheet("two")).unwrap().series.len(), 4);
    assert!(
        book.refusal(&sheet("empty")).contains("an empty file"),
        "{}",
        book.refusal(&sheet("empty"))
    );
    assert!(Book::new().sheet("a", &[]).refusal(&plain).contains("a sheet with cells"));
    let titled = ["tPlot Title: 20881234", "", LOG[0], LOG[1], LOG[2]];
    let titled = Book::new().sheet("a", &titled);
    assert!(
        titled
            .refusal(&plain)
            .contains("row 1: expected a name over the column B: pass --skip-lines"),
        "{}",
        titled.refusal(&plain)
    );
    let skip = PointsOptions { skip_lines: Some(2), ..Default::default() };
    assert_eq!(titled.read(&skip).unwrap().series.len(), 4);
    let bad = Book::new().sheet("a", &["tt|tv", "s1:45352|1", "s1:45353|e#DIV/0!", "s1:45354|2"]);
    assert!(bad.refusal(&plain).contains("line 3") && bad.refusal(&plain).contains("#DIV/0!"));
    for options in [
        PointsOptions { separator: Some(';'), ..Default::default() },
        PointsOptions { decimal: Some(','), ..Default::default() },
    ] {
        assert!(titled.refusal(&options).contains("a delimited text for --separator"));
    }
    let csv = titled.folder.path().join("a.csv");
    std::fs::write(&csv, "t,v\n1,2\n").unwrap();
    assert!(
        read_points(&csv, &sheet("a")).unwrap_err().to_string().contains("a workbook for --sheet")
    );
    let xls = titled.folder.path().join("a.xls");
    std::fs::write(&xls, b"\xd0\xcf\x11\xe0").unwrap();
    assert!(read_points(&xls, &plain).unwrap_err().to_string().contains("save it as .xlsx"));
}

/// Goal: a workbook that is cut, changed or made to take all memory is an error, and no more.
#[test]
fn a_hostile_workbook_is_an_error() {
    let book = Book::new().sheet("a", &LOG);
    let whole = book.bytes();
    let path = book.folder.path().join("bad.xlsx");
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        read_points(&path, &PointsOptions::default()).map(|points| points.series.len())
    };
    assert_eq!(read(&whole).unwrap(), 4);
    for end in (0..whole.len()).step_by(37) {
        assert!(read(&whole[..end]).is_err(), "{end}");
    }
    for at in (0..whole.len()).step_by(11) {
        let mut changed = whole.clone();
        changed[at] ^= 0x55;
        let _ = read(&changed);
    }
    let far = |cell: &str| {
        let mut book = Book::new().sheet("a", &LOG);
        book.sheets[0].1.push_str(&format!(r#"<row r="1048576"><c r="{cell}"><v>1</v></c></row>"#));
        book.refusal(&PointsOptions::default())
    };
    assert!(
        far("XFD1048576").contains("a sheet of at most 268435456 cells"),
        "{}",
        far("XFD1048576")
    );
    for cell in ["A250000000", "A1048577", "XFE5"] {
        let expected = format!("at most 1048576 rows and 16384 columns, got a cell {cell}");
        assert!(far(cell).contains(&expected), "{}", far(cell));
    }
    let mut back = Book::new().sheet("a", &LOG);
    back.sheets[0].1.push_str(r#"<row r="2"><c r="A2"><v>1</v></c></row>"#);
    assert!(back.refusal(&PointsOptions::default()).contains("not in order at row 2"));
    // Zeros without end: 600 MB in 600 kB.
    let mut bomb = zip::ZipWriter::new_append(std::io::Cursor::new(whole)).unwrap();
    bomb.start_file("xl/media/zeros", SimpleFileOptions::default()).unwrap();
    std::io::copy(&mut std::io::repeat(0).take(600 << 20), &mut bomb).unwrap();
    let refused = read(&bomb.finish().unwrap().into_inner()).unwrap_err().to_string();
    assert!(refused.contains("expected a workbook of at most"), "{refused}");
}
