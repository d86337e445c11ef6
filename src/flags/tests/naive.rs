//! A second evaluator: straight over JSON trees, written from the contract without a look at the other one. It shares
//! no code with it: SHA-1 is ring's, expressions and versions go through the crates by another way, and dates are
//! compared as text of one fixed form, which is all that the generator makes of them.

use fancy_regex::RegexBuilder;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use semver::{Version, VersionReq};
use serde_json::{Map, Value, json};

/// What a flag is, or that it cannot be known. `{"value": …}` or `{"unknown": reason}`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expected {
    Value(Value),
    Unknown(&'static str),
}

const PRECEDENCE: [&str; 4] =
    ["experience_continuity", "unsupported_definition", "unresolved_dependency", "missing_context"];

/// Yes, no, or a reason, and whether that ends the flag.
type Logic = Result<bool, (&'static str, bool)>;

pub(super) struct Naive<'a> {
    pub definitions: &'a Value,
    pub person: &'a Value,
}

fn place(text: &str) -> f64 {
    let hex: String = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes())
        .as_ref()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    u64::from_str_radix(&hex[..15], 16).unwrap() as f64 / 0xFFF_FFFF_FFFF_FFFF_u64 as f64
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn worse(a: &'static str, b: &'static str) -> &'static str {
    let rank = |reason| PRECEDENCE.iter().position(|known| *known == reason).unwrap();
    if rank(a) <= rank(b) { a } else { b }
}

impl Naive<'_> {
    fn definition(&self, key: &str) -> Option<&Value> {
        self.definitions["flags"].as_array().unwrap().iter().rfind(|flag| flag["key"] == key)
    }

    fn properties(&self) -> Map<String, Value> {
        let mut all = json!({"distinct_id": self.person["distinct_id"]}).as_object().unwrap().clone();
        all.extend(self.person["properties"].as_object().unwrap().clone());
        all
    }

    /// The group of a type: its key and its properties.
    fn group(&self, index: &Value) -> Option<(String, Map<String, Value>)> {
        let kind = self.definitions["group_type_mapping"].get(index.to_string())?.as_str()?;
        let group = self.person["groups"].get(kind)?;
        let mut properties = json!({"$group_key": group["key"]}).as_object().unwrap().clone();
        properties.extend(group["properties"].as_object().unwrap().clone());
        Some((text(&group["key"]), properties))
    }

    /// Whether the flag exists for servers in the context `web`.
    pub(super) fn exists(&self, key: &str) -> bool {
        let flag = self.definition(key).unwrap();
        let contexts = flag["evaluation_contexts"].as_array();
        flag["evaluation_runtime"] != "client"
            && contexts.is_none_or(|all| all.is_empty() || all.contains(&json!("web")))
    }

    pub(super) fn flag(&self, key: &str) -> Expected {
        match self.flag_at(key, 0) {
            Ok(value) => Expected::Value(value),
            Err((reason, _)) => Expected::Unknown(reason),
        }
    }

    fn flag_at(&self, key: &str, depth: usize) -> Result<Value, (&'static str, bool)> {
        let flag = self.definition(key).unwrap();
        if flag["active"] != true || flag["deleted"] == true {
            return Ok(json!(false));
        }
        if flag["ensure_experience_continuity"] == true {
            return Err(("experience_continuity", false));
        }
        let filters = &flag["filters"];
        let version = &filters["version"];
        if !(version.is_null() || *version == 1) || depth > 30 {
            return Err(("unsupported_definition", false));
        }
        if filters["super_groups"].as_array().is_some_and(|groups| !groups.is_empty()) {
            return Err(("unsupported_definition", false));
        }
        let own = &filters["aggregation_group_type_index"];
        if !own.is_null() && self.definitions["group_type_mapping"].get(own.to_string()).is_none() {
            return Err(("unsupported_definition", false));
        }
        if filters["feature_enrollment"] == true {
            if !own.is_null() {
                return Err(("unsupported_definition", false));
            }
            return match self.properties().get(&format!("$feature_enrollment/{key}")) {
                None => Err(("missing_context", false)),
                Some(value) => Ok(json!(*value == true || *value == "true")),
            };
        }
        let by_device = flag["bucketing_identifier"] == "device_id";
        let id_of = |aggregation: &Value| -> Option<Option<String>> {
            if !aggregation.is_null() {
                return self.group(aggregation).map(|(key, _)| Some(key));
            }
            let device = || {
                let given = self.person["device_id"].as_str().map(str::to_owned).filter(|id| !id.is_empty());
                let property = || self.properties().get("$device_id")?.as_str().map(str::to_owned);
                given.or_else(|| property().filter(|id| !id.is_empty()))
            };
            if by_device {
                Some(device())
            } else {
                Some(self.person["distinct_id"].as_str().map(str::to_owned))
            }
        };
        let holdout = &filters["holdout"];
        if !holdout.is_null() {
            match id_of(own).unwrap_or(Some(String::new())) {
                None => return Err(("missing_context", false)),
                Some(id) => {
                    let share = holdout["exclusion_percentage"].as_f64().unwrap().clamp(0.0, 100.0);
                    if share >= 100.0 || place(&format!("holdout-{id}")) <= share / 100.0 {
                        return Ok(json!(format!("holdout-{}", text(&holdout["id"]))));
                    }
                }
            }
        }
        let mut unknown: Option<&'static str> = None;
        for condition in filters["groups"].as_array().unwrap() {
            let aggregation = condition.get("aggregation_group_type_index").unwrap_or(own);
            let group = self.group(aggregation);
            if !aggregation.is_null() && group.as_ref().is_none_or(|(key, _)| key.is_empty()) {
                continue;
            }
            let properties = group.map_or_else(|| self.properties(), |(_, properties)| properties);
            let empty = Vec::new();
            let list = condition["properties"].as_array().unwrap_or(&empty);
            let results: Vec<Logic> = list
                .iter()
                .map(|filter| self.filter(filter, &properties, aggregation, false, depth))
                .collect();
            if results.contains(&Ok(false)) {
                continue;
            }
            let unknowns: Vec<_> = results.into_iter().filter_map(Result::err).collect();
            if let Some(first) = unknowns.first() {
                let reason = unknowns.iter().map(|one| one.0).reduce(worse).unwrap();
                let reason = unknown.map_or(reason, |before| worse(before, reason));
                if first.1 {
                    return Err((reason, true));
                }
                unknown = Some(reason);
                continue;
            }
            let Some(id) = id_of(aggregation).flatten() else {
                unknown = Some(unknown.map_or("missing_context", |before| worse(before, "missing_context")));
                continue;
            };
            let variants = filters["multivariate"]["variants"].as_array().cloned().unwrap_or_default();
            let wanted = variants.iter().find(|variant| variant["key"] == condition["variant"]);
            let percentage =
                condition["rollout_percentage"].as_f64().filter(|percentage| *percentage != 100.0);
            if id.is_empty() && (percentage.is_some() || (wanted.is_none() && !variants.is_empty())) {
                unknown = Some(unknown.map_or("missing_context", |before| worse(before, "missing_context")));
                continue;
            }
            if percentage.is_some_and(|percentage| place(&format!("{key}.{id}")) > percentage / 100.0) {
                if filters["early_exit"] == true {
                    break;
                }
                continue;
            }
            if let Some(variant) = wanted {
                return Ok(variant["key"].clone());
            }
            let mut end = 0.0;
            let h = place(&format!("{key}.{id}variant"));
            for variant in &variants {
                end += variant["rollout_percentage"].as_f64().unwrap() / 100.0;
                if h < end {
                    return Ok(variant["key"].clone());
                }
            }
            return Ok(json!(true));
        }
        unknown.map_or(Ok(json!(false)), |reason| Err((reason, false)))
    }

    fn filter(
        &self,
        filter: &Value,
        properties: &Map<String, Value>,
        aggregation: &Value,
        in_cohort: bool,
        depth: usize,
    ) -> Logic {
        let by_text = self.definitions["property_matching_version"] == 2;
        match filter["type"].as_str().unwrap_or("") {
            "cohort" => {
                let negated = match filter["operator"].as_str() {
                    None if filter["operator"].is_null() => false,
                    Some("in" | "exact") => false,
                    Some("not_in") => true,
                    _ => return Err(("unsupported_definition", false)),
                };
                let result = match self.definitions["cohorts"].get(text(&filter["value"])) {
                    None => Err(("unsupported_definition", true)),
                    Some(cohort) => self.cohort(cohort, depth),
                };
                result.map(|is_in| is_in != negated)
            }
            "flag" => self.dependency(filter, depth),
            "" => compare(filter, properties, by_text),
            "person" => compare(filter, &self.properties(), by_text),
            "group" if !in_cohort => {
                let index = filter.get("group_type_index").unwrap_or(aggregation);
                if self.definitions["group_type_mapping"].get(index.to_string()).is_none() {
                    return Err(("unsupported_definition", false));
                }
                match self.group(index) {
                    Some((_, properties)) => compare(filter, &properties, by_text),
                    None => compare(filter, &Map::new(), by_text),
                }
            }
            "person_metadata" => Err(("missing_context", false)),
            _ => Err(("unsupported_definition", false)),
        }
    }

    fn dependency(&self, filter: &Value, depth: usize) -> Logic {
        if filter["operator"] != "flag_evaluates_to" {
            return Ok(false);
        }
        let chain = filter["dependency_chain"].as_array().filter(|chain| !chain.is_empty());
        let Some(chain) = chain else { return Err(("unsupported_definition", false)) };
        let keys: Vec<&str> = chain.iter().chain([&filter["key"]]).filter_map(Value::as_str).collect();
        if keys.len() != chain.len() + 1 || keys.iter().any(|key| self.definition(key).is_none()) {
            return Err(("unsupported_definition", false));
        }
        let mut last = json!(false);
        for key in keys {
            last = if self.exists(key) {
                self.flag_at(key, depth + 1).map_err(|(_, ends)| ("unresolved_dependency", ends))?
            } else {
                json!(false)
            };
        }
        Ok(match &filter["value"] {
            Value::Bool(true) => last != false,
            Value::Bool(false) => last == false,
            Value::String(variant) => last == *variant,
            _ => false,
        })
    }

    fn cohort(&self, part: &Value, depth: usize) -> Logic {
        let Some(object) = part.as_object() else { return Err(("unsupported_definition", true)) };
        if object.is_empty() {
            return Ok(true);
        }
        let kind = part["type"].as_str();
        if object.contains_key("values") || matches!(kind, Some("AND" | "OR")) {
            let parts = part["values"].as_array().cloned().unwrap_or_default();
            if parts.is_empty() {
                return Ok(true);
            }
            let all = match kind {
                Some("AND") => true,
                Some("OR") => false,
                _ => return Err(("unsupported_definition", true)),
            };
            let results: Vec<Logic> = parts.iter().map(|part| self.cohort(part, depth)).collect();
            if results.contains(&Ok(!all)) {
                return Ok(!all);
            }
            let unknowns: Vec<_> = results.into_iter().filter_map(Result::err).collect();
            let Some(reason) = unknowns.iter().map(|one| one.0).reduce(worse) else { return Ok(all) };
            return Err((reason, unknowns.iter().any(|one| one.1)));
        }
        let result = if kind == Some("flag") {
            Err(("unsupported_definition", false))
        } else {
            self.filter(part, &self.properties(), &Value::Null, true, depth)
        };
        result.map(|is_true| is_true != (part["negation"] == true))
    }
}

fn is_boolean(value: &Value) -> bool {
    match value {
        Value::Bool(_) => true,
        Value::String(text) => ["true", "false"].contains(&&*text.to_lowercase()),
        Value::Array(all) => all.iter().all(is_boolean),
        _ => false,
    }
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(value) => *value,
        Value::String(text) => text.to_lowercase() == "true",
        Value::Array(all) => all.iter().all(is_true),
        _ => false,
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| text(value).parse().ok())
}

/// Seconds, for the few instants that the generator makes.
enum Date {
    At(f64),
    Never,
    Unknown,
}

fn date(value: &Value, of_person: bool) -> Date {
    match value {
        Value::Number(seconds) if of_person => Date::At(seconds.as_f64().unwrap()),
        Value::String(text) => match (text.as_str(), text.parse::<f64>()) {
            (_, Ok(seconds)) if of_person => Date::At(if seconds.is_nan() { 0.0 } else { seconds }),
            ("2024-01-01T00:00:00Z", _) => Date::At(1_704_067_200.0),
            ("2024-06-01T00:00:00Z", _) => Date::At(1_717_200_000.0),
            (text, _) if text.contains(|c: char| c.is_ascii_digit()) => Date::Unknown,
            _ => Date::Never,
        },
        _ => Date::Never,
    }
}

/// Three parts without leading zeros.
fn version(value: &Value) -> Option<Version> {
    let whole = text(value);
    let whole = whole.strip_prefix('v').unwrap_or(&whole).trim();
    let end = whole.find(['-', '+']).unwrap_or(whole.len());
    let mut parts: Vec<String> = whole[..end]
        .split('.')
        .map(|part| {
            if part.is_empty() {
                part.to_owned()
            } else {
                part.parse::<u64>().map_or(part.to_owned(), |n| n.to_string())
            }
        })
        .collect();
    parts.resize(parts.len().max(3), "0".to_owned());
    Version::parse(&format!("{}{}", parts.join("."), &whole[end..])).ok()
}

fn compare(filter: &Value, properties: &Map<String, Value>, by_text: bool) -> Logic {
    let Some(key) = filter["key"].as_str() else { return Err(("unsupported_definition", false)) };
    let operator = match &filter["operator"] {
        Value::Null => "exact",
        Value::String(operator) => operator,
        _ => return Err(("unsupported_definition", false)),
    };
    if !super::super::operator::names().any(|known| known == operator) {
        return Err(("unsupported_definition", false));
    }
    let wanted = &filter["value"];
    if ["in", "not_in", "flag_evaluates_to"].contains(&operator) {
        return Ok(false);
    }
    if wanted.is_null() && !["is_set", "is_not_set"].contains(&operator) {
        return Ok(false);
    }
    let Some(value) = properties.get(key) else { return Err(("missing_context", false)) };
    let lower = |value: &Value| text(value).to_ascii_lowercase();
    let (has, want) = (lower(value), lower(wanted));
    let order = |accepts: fn(f64, f64) -> bool| match (number(value), number(wanted)) {
        (Some(a), Some(b)) => accepts(a, b),
        _ => false,
    };
    let versions = |accepts: fn(&Version, &Version) -> bool| match (version(value), version(wanted)) {
        (Some(a), Some(b)) => accepts(&a, &b),
        _ => false,
    };
    let range = |prefix: &str| {
        let requirement =
            version(wanted).and_then(|wanted| VersionReq::parse(&format!("{prefix}{wanted}")).ok());
        version(value).zip(requirement).is_some_and(|(version, range)| range.matches(&version))
    };
    let equals = || {
        let is_empty = wanted.as_array().is_some_and(Vec::is_empty);
        if is_empty || (!by_text && is_boolean(wanted)) {
            return is_true(wanted) == is_true(value);
        }
        let same = |wanted: &Value| text(wanted).to_lowercase() == text(value).to_lowercase();
        wanted.as_array().map_or_else(|| same(wanted), |list| list.iter().any(same))
    };
    let any = || match wanted.as_array() {
        Some(list) => list.iter().any(|one| has.contains(&lower(one))),
        None => has.contains(&want),
    };
    // What the server's engine has beyond the one that the library uses, and what that one refuses.
    let pattern = text(wanted);
    let regex = RegexBuilder::new(&pattern).backtrack_limit(10_000).build();
    let is_foreign = pattern.starts_with('{')
        || ["(?<", r"\1", ".*+", r"\b", r"\B", r"\<", r"\>", "((?i)", "(?x)", "}{"]
            .iter()
            .any(|part| pattern.contains(part));
    if ["regex", "not_regex"].contains(&operator) && (is_foreign || regex.is_err()) {
        return Err(("unsupported_definition", false));
    }
    let expression = |negated: bool| {
        regex
            .as_ref()
            .is_ok_and(|regex| regex.find(&text(value)).is_ok_and(|found| found.is_some() != negated))
    };
    let between = |negated: bool| {
        let bounds = wanted.as_array().filter(|list| list.len() == 2);
        let Some((low, high)) = bounds.and_then(|list| number(&list[0]).zip(number(&list[1]))) else {
            return false;
        };
        match number(value) {
            Some(n) if !n.is_nan() && low <= high => (low <= n && n <= high) != negated,
            _ => false,
        }
    };
    let dates = |accepts: fn(f64, f64) -> bool| -> Logic {
        let (Date::At(_) | Date::Unknown) = date(wanted, false) else { return Ok(false) };
        match (date(value, true), date(wanted, false)) {
            (Date::Never, _) => Ok(false),
            (Date::At(a), Date::At(b)) => Ok(accepts(a, b)),
            _ => Err(("unsupported_definition", false)),
        }
    };
    if let Some(result) = match operator {
        "is_date_before" => Some(dates(|a, b| a < b)),
        "is_date_after" => Some(dates(|a, b| a > b)),
        "is_date_exact" => Some(dates(|a, b| a == b)),
        _ => None,
    } {
        return result;
    }
    Ok(match operator {
        "exact" => equals(),
        "is_not" => !equals(),
        "is_set" => true,
        "is_not_set" => false,
        "icontains" => has.contains(&want),
        "not_icontains" => !has.contains(&want),
        "starts_with" => has.starts_with(&want),
        "not_starts_with" => !has.starts_with(&want),
        "ends_with" => has.ends_with(&want),
        "not_ends_with" => !has.ends_with(&want),
        "icontains_multi" => any(),
        "not_icontains_multi" => !any(),
        "regex" => expression(false),
        "not_regex" => expression(true),
        "gt" => order(|a, b| a > b),
        "gte" => order(|a, b| a >= b),
        "lt" => order(|a, b| a < b),
        "lte" => order(|a, b| a <= b),
        "between" => between(false),
        "not_between" => between(true),
        "semver_eq" => versions(|a, b| a == b),
        "semver_neq" => versions(|a, b| a != b),
        "semver_gt" => versions(|a, b| a > b),
        "semver_gte" => versions(|a, b| a >= b),
        "semver_lt" => versions(|a, b| a < b),
        "semver_lte" => versions(|a, b| a <= b),
        "semver_tilde" => range("~"),
        "semver_caret" => range("^"),
        "semver_wildcard" => {
            let pattern = text(wanted).replace('*', "x");
            let pattern: Vec<String> = pattern
                .strip_prefix('v')
                .unwrap_or(&pattern)
                .trim()
                .split('.')
                .map(|part| part.parse::<u64>().map_or(part.to_owned(), |n| n.to_string()))
                .collect();
            let range = VersionReq::parse(&pattern.join(".")).ok();
            version(value).zip(range).is_some_and(|(version, range)| range.matches(&version))
        }
        other => panic!("{other}"),
    })
}
