//! Texts as they come from files and shells.

/// Without what files and shells put around the values of variables: blanks, a newline, and the one
/// pair of quotation marks that `docker run --env-file` keeps.
pub(crate) fn bare(text: &str) -> &str {
    let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}');
    let text = text.trim_matches(blank);
    let inside = ['"', '\'']
        .into_iter()
        .find_map(|mark| text.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark)));
    inside.unwrap_or(text).trim_matches(blank)
}
