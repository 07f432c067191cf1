//! `custom-columns=NAME:.metadata.name,IMAGE:.spec.containers[*].image`

use serde_json::Value;

use crate::cli::go;
use crate::cli::jsonpath::{EvaluateError, Path};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CustomColumns(Vec<(String, Path)>);

pub(super) fn parse(spec: &str) -> Result<CustomColumns, String> {
    if spec.is_empty() {
        return Err("columns are missing, such as custom-columns=NAME:.metadata.name".to_owned());
    }
    let column = |text: &str| {
        let (header, path) = text
            .split_once(':')
            .ok_or_else(|| format!("`{text}` is not a column such as NAME:.metadata.name"))?;
        column(header, path)
    };
    split(spec).into_iter().map(column).collect::<Result<_, _>>().map(CustomColumns)
}

/// Two lines: the headers, and the paths below them.
pub(super) fn parse_file(text: &str) -> Result<CustomColumns, String> {
    let words = |line: Option<&str>| -> Vec<String> {
        line.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    };
    let mut lines = text.lines();
    let (headers, paths) = (words(lines.next()), words(lines.next()));
    if headers.is_empty() || headers.len() != paths.len() {
        return Err(format!(
            "the file must have a line of headers and a line of as many paths; it has {} and {}",
            headers.len(),
            paths.len()
        ));
    }
    let columns = headers.iter().zip(&paths).map(|(header, path)| column(header, path));
    columns.collect::<Result<_, _>>().map(CustomColumns)
}

fn column(header: &str, path: &str) -> Result<(String, Path), String> {
    let parsed = Path::parse(path).map_err(|error| format!("column {header}: {error}"))?;
    Ok((header.to_owned(), parsed))
}

/// At commas outside of brackets: a union or a filter has some of its own.
fn split(spec: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    spec.split(|c| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
    .collect()
}

impl CustomColumns {
    pub(crate) fn header(&self) -> Vec<String> {
        self.0.iter().map(|(header, _)| header.clone()).collect()
    }

    pub(crate) fn rows(&self, objects: &[Value]) -> Result<Vec<Vec<String>>, EvaluateError> {
        objects.iter().map(|object| self.row(object)).collect()
    }

    pub(crate) fn row(&self, object: &Value) -> Result<Vec<String>, EvaluateError> {
        self.0.iter().map(|(_, path)| path.find(object).map(|found| cell(&found))).collect()
    }
}

fn cell(found: &[&Value]) -> String {
    if found.is_empty() {
        return "<none>".to_owned();
    }
    let texts: Vec<String> = found.iter().map(|value| go::sprint(value)).collect();
    texts.join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(spec: &str) -> Vec<String> {
        let object = json!({
            "metadata": {"name": "web", "labels": {"app": "x", "tier": "y"}},
            "spec": {"containers": [{"name": "a", "image": "i:1"}, {"name": "b"}], "none": null, "empty": []},
        });
        parse(spec).unwrap().row(&object).unwrap()
    }

    #[test]
    fn cells_are_what_kubectl_puts_in_them() {
        let spec = "N:.metadata.name,C:.spec.containers[*].name,I:spec.containers[*].image,L:{.metadata.labels},\
                    X:.nope,E:.spec.empty[*],U:.spec.containers[0]['name','image'],Z:.spec.none";
        let expected = ["web", "a,b", "i:1", "map[app:x tier:y]", "<none>", "<none>", "a,i:1", "<nil>"];
        assert_eq!(row(spec), expected);
    }

    #[test]
    fn a_file_has_a_line_of_headers_and_a_line_of_paths() {
        let columns = parse_file("NAME   IMAGE\n.metadata.name   .spec.containers[0].image\n").unwrap();
        assert_eq!(columns.header(), ["NAME", "IMAGE"]);
        assert!(parse_file("NAME IMAGE\n.metadata.name\n").is_err());
        assert!(parse_file("").is_err());
    }

    #[test]
    fn what_is_no_column_is_refused() {
        for spec in ["", "NAME", "NAME:", "NAME:.a,", "NAME:.a[", "NAME:{.a", "NAME:{.a}{.b}"] {
            assert!(parse(spec).is_err(), "{spec}");
        }
    }
}
