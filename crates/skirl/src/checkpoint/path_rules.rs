//! Which names a manifest may use: nothing that could lead outside the checkpoint on any system.

/// Longest relative path, in bytes.
const MAX_PATH_LEN: usize = 1024;
/// Deepest nesting.
const MAX_DEPTH: usize = 16;
/// Longest single name, in bytes.
const MAX_NAME_LEN: usize = 255;

/// Says what is wrong with a relative path, if anything is.
pub(super) fn check_relative_path(path: &str) -> Result<(), &'static str> {
    if path.len() > MAX_PATH_LEN {
        return Err("is longer than 1024 bytes");
    }
    if path.split('/').count() > MAX_DEPTH {
        return Err("is nested deeper than 16 directories");
    }
    path.split('/').try_for_each(check_name)
}

/// Says what is wrong with one name of a path, if anything is.
pub(super) fn check_name(name: &str) -> Result<(), &'static str> {
    match name {
        "" => Err("has an empty part (absolute, or with a doubled or trailing slash)"),
        _ if name.starts_with('.') => Err("has a part that starts with a dot"),
        _ if name.len() > MAX_NAME_LEN => Err("has a part longer than 255 bytes"),
        _ if name.contains(['/', '\\', ':']) => Err("has a slash, backslash or colon in a part"),
        _ if name.chars().any(char::is_control) => Err("has a control character"),
        _ if name.ends_with([' ', '.']) => Err("has a part that ends with a space or a dot"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_relative_paths_pass() {
        for good in ["a", "a/b.json", "learner_group/learner/rl_module/team%2F1/module.json", "ü"] {
            assert_eq!(check_relative_path(good), Ok(()), "{good}");
        }
        let deep = "a/".repeat(20) + "a";
        let long = "a".repeat(300);
        let bad = [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../x",
            "a/../b",
            "a/..",
            ".",
            "./a",
            "a//b",
            "a/",
            "a\0",
            "a\nb",
            "C:\\x",
            "a\\b",
            "C:x",
            ".tmp",
            "a/.b",
            "a ",
            "con.",
            &deep,
            &long,
        ];
        for path in bad {
            assert!(check_relative_path(path).is_err(), "{path:?}");
        }
    }
}
