//! Titles that programs write over their own command line: `nginx: worker process`.

use super::{Command, basename, python};

/// The service's name in a title, if there is one.
pub(super) fn of(command: &Command, executable: &str) -> Option<String> {
    let [title] = command.args.as_slice() else { return None };
    let is_path = title.contains('/') && basename(title) == executable;
    if is_path || !title.contains([' ', ':']) {
        return None;
    }
    let bracket = title
        .rsplit_once('[')
        .and_then(|(_, inner)| inner.split_once(']'))
        .map(|(inner, _)| inner)
        .filter(|inner| !inner.is_empty() && !inner.bytes().all(|b| b.is_ascii_digit()));
    let bare = title.trim_start_matches(['[', '(']);
    let word = bare.split([' ', ':']).next().unwrap_or_default();
    let word = basename(word).trim_end_matches([']', ')']);
    match word {
        "gunicorn" => {
            Some(bracket.map_or_else(|| word.to_owned(), |app| python::module(app).to_owned()))
        }
        "puma" => Some(bracket.unwrap_or(word).to_owned()),
        "celeryd" | "celery" => {
            let app = title
                .split_once("-A ")
                .and_then(|(_, rest)| rest.split([' ', ')']).next().filter(|app| !app.is_empty()));
            Some(python::module(app.unwrap_or("celery")).to_owned())
        }
        // npm writes `npm run dev`: its arguments in one word.
        "npm" | "npx" | "" => None,
        word => Some(word.to_owned()),
    }
}
