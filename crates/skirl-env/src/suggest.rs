//! Names similar to a mistyped one.

/// Most suggestions given.
const MAX_SUGGESTIONS: usize = 3;
/// Similarity (Jaro and Winkler's, 1 is equal) from which a name is suggested.
const SIMILAR: f64 = 0.8;

/// Environment names similar to `name`: other versions of it first, then other spellings.
pub(crate) fn similar_env_names<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Vec<String> {
    let (base, _) = split_version(name);
    let score = |candidate: &str| {
        let (candidate_base, version) = split_version(candidate);
        let similarity = strsim::jaro_winkler(&base.to_lowercase(), &candidate_base.to_lowercase());
        // Among equals the newest version comes first.
        (similarity, version)
    };
    let mut scored: Vec<((f64, u32), &str)> = known.map(|candidate| (score(candidate), candidate)).collect();
    scored.retain(|((similarity, _), _)| *similarity >= SIMILAR);
    scored.sort_by(|left, right| right.0.0.total_cmp(&left.0.0).then(right.0.1.cmp(&left.0.1)));
    scored.into_iter().take(MAX_SUGGESTIONS).map(|(_, candidate)| candidate.to_owned()).collect()
}

/// The known key most similar to `key`.
pub(crate) fn similar_key<'k>(key: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    known
        .map(|candidate| (strsim::jaro_winkler(key, candidate), candidate))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}

fn split_version(name: &str) -> (&str, u32) {
    match name.rsplit_once("-v") {
        Some((base, version)) => version.parse().map_or((name, 0), |version| (base, version)),
        None => (name, 0),
    }
}
