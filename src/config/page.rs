//! docs/settings.md, made from the table of settings.

use std::fmt::Write as _;

use super::table::SETTINGS;

/// The text of docs/settings.md.
pub fn settings_page() -> String {
    let mut page = String::from(
        "# Settings\n\n<!-- Generated from src/config/table.rs by `make docs`; edit that. -->\n\n\
         `phc_config_set(config, key, value)` takes every value as text, so that a binding built last year can\n\
         use a setting added today. If a value is not accepted, it returns `PHC_INVALID_SETTING`, changes nothing,\n\
         and `phc_last_error()` says why. `phc_config_get` returns the present value, and `phc_setting_at` lists all\n\
         settings except `header.<Name>`.\n\n\
         | key | type | default | accepted | what it does |\n|---|---|---|---|---|\n",
    );
    for setting in SETTINGS {
        let (kind, accepted) = setting.accepted();
        let accepted = match kind {
            "word" | "bool" => {
                accepted.split(", ").map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
            }
            _ => accepted,
        };
        let default =
            if setting.default.is_empty() { "(empty)".to_owned() } else { format!("`{}`", setting.default) };
        let _ = writeln!(page, "| `{}` | {kind} | {default} | {accepted} | {} |", setting.key, setting.doc);
    }
    page.push_str(
        "| `header.<Name>` | text | (none) | visible ASCII | An additional header in every request, for proxies \
         and tests. Setting it again replaces it. Headers that libphc itself sets are rejected. |\n\n\
         Keys ending in `_ms` are milliseconds, in `_bytes` bytes.\n",
    );
    page
}
