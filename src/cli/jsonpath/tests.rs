use serde_json::{Value, json};

use super::*;

fn object() -> Value {
    json!({
        "metadata": {"name": "web", "labels": {"app": "x", "example.org/tier": "front"}},
        "spec": {
            "containers": [
                {"name": "a", "image": "i:1", "ports": [{"containerPort": 80}, {"containerPort": 443}]},
                {"name": "b", "image": "i:2", "tty": true},
                {"name": "c", "ports": [{"containerPort": 9000}]},
            ],
            "nothing": null,
            "empty": [],
            "flag": false,
            "text": "a<b>&c",
        },
    })
}

/// Each printed as by kubectl 1.32.
#[test]
fn templates_print_what_kubectl_prints() {
    let cases = [
        ("{.metadata.name}", "web"),
        ("{$.metadata.name}", "web"),
        ("{@.metadata.name}", "web"),
        ("{ .metadata.name }", "web"),
        ("name={.metadata.name}!", "name=web!"),
        ("plain", "plain"),
        ("", ""),
        (r#"{.metadata.name}{"\t"}{.spec.flag}{"\n"}"#, "web\tfalse\n"),
        (r"{'it\'s'}", "it's"),
        (r#"{"\u00e4\x41\U0001F600"}"#, "\u{e4}A\u{1F600}"),
        ("{.missing}", ""),
        ("{.missing.deeper[0].name}-", "-"),
        ("{.spec.nothing}", "null"),
        ("{.spec.nothing.x}", ""),
        ("{.spec.nothing[0]}", ""),
        ("{.spec.text}", "a<b>&c"),
        ("{.metadata}", r#"{"labels":{"app":"x","example.org/tier":"front"},"name":"web"}"#),
        ("{.spec['text', 'flag']}", "a<b>&c false"),
        (r"{.metadata.labels.example\.org/tier}", "front"),
        (r"{.metadata.labels['example\.org/tier']}", "front"),
        ("{.metadata.labels.*}", "x front"),
        ("{.spec.containers[*].name}", "a b c"),
        ("{.spec.containers[].name}", "a"),
        ("{.spec.containers[0].name}", "a"),
        ("{.spec.containers[-1].name}", "c"),
        ("{.spec.containers[-1:].name}", "c"),
        ("{.spec.containers[0:2].name}", "a b"),
        ("{.spec.containers[1:].name}", "b c"),
        ("{.spec.containers[:-1].name}", "a b"),
        ("{.spec.containers[::2].name}", "a c"),
        ("{.spec.containers[0,2].name}", "a c"),
        ("{.spec.containers[*]['name','image']}", "a b c i:1 i:2"),
        ("{.spec.containers[1:1].name}", ""),
        ("{.spec.empty[*]}x", "x"),
        ("{.spec.containers.name}", ""),
        ("{.spec.containers[*].ports[*].containerPort}", "80 443 9000"),
        ("{..containerPort}", "80 443 9000"),
        ("{.spec..name}", "a b c"),
        (r#"{.spec.containers[?(@.name=="b")].image}"#, "i:2"),
        ("{.spec.containers[?(@.name!='b')].name}", "a c"),
        ("{.spec.containers[?(@.name>'a')].name}", "b c"),
        ("{.spec.containers[?(@.name<='b')].name}", "a b"),
        ("{.spec.containers[?(@.tty)].name}", "b"),
        ("{.spec.containers[?(@.tty==true)].name}", "b"),
        ("{.spec.containers[?(@.image)].name}", "a b"),
        ("{.spec.containers[*].ports[?(@.containerPort>=443)].containerPort}", "443 9000"),
        ("{.spec.containers[?(@.ports[0].containerPort==80)].name}", "a"),
        ("{range .spec.containers[*]}[{.name}={.image}]{end}", "[a=i:1][b=i:2][c=]"),
        (
            "{range .spec.containers[*]}{.name}:{range .ports[*]} {.containerPort}{end};{end}",
            "a: 80 443;b:;c: 9000;",
        ),
        ("{range .missing[*]}x{end}done", "done"),
        ("{3}{true}{1.5}", "3true1.5"),
    ];
    for (template, expected) in cases {
        let printed = Template::parse(template).unwrap().text(&object());
        assert_eq!(printed, Ok(expected.to_owned()), "{template}");
    }
}

#[test]
fn a_template_that_cannot_be_read_says_why() {
    let cases = [
        ("{.a", ParseError::UnclosedAction),
        ("{.a\n}", ParseError::UnclosedAction),
        ("{.a[0}", ParseError::UnclosedArray),
        ("{.a[x]}", ParseError::InvalidIndex("x".to_owned())),
        ("{.a[1:2:3:4]}", ParseError::InvalidIndex("1:2:3:4".to_owned())),
        ("{.a[?(@.b==1]}", ParseError::UnclosedFilter),
        ("{.a[?(@.b=1)]}", ParseError::UnknownOperator("=".to_owned())),
        ("{.a[?(@.b && @.c)]}", ParseError::UnexpectedCharacter('&')),
        ("{\"a}", ParseError::UnclosedQuote),
        (r#"{"\q"}"#, ParseError::InvalidQuote(r#""\q""#.to_owned())),
        ("{foo}", ParseError::UnknownWord("foo".to_owned())),
        ("{....a}", ParseError::DescendTwice),
        ("{end}", ParseError::EndWithoutRange),
        ("{range .a[*]}{.b}", ParseError::RangeWithoutEnd),
        ("{+}", ParseError::InvalidNumber("+".to_owned())),
        ("{*}", ParseError::UnexpectedCharacter('*')),
    ];
    for (template, error) in cases {
        assert_eq!(Template::parse(template), Err(error), "{template}");
    }
}

#[test]
fn a_template_that_does_not_fit_the_object_says_why() {
    let cases = [
        ("{.spec.containers[3]}", EvaluateError::OutOfBounds { index: 3, length: 3 }),
        ("{.spec.containers[-4]}", EvaluateError::OutOfBounds { index: -1, length: 3 }),
        ("{.spec.empty[0]}", EvaluateError::OutOfBounds { index: 0, length: 0 }),
        ("{.spec.containers[2:1]}", EvaluateError::Backwards { start: 2, end: 1 }),
        ("{.spec.containers[::0]}", EvaluateError::Step),
        ("{.metadata.name[0]}", EvaluateError::NotAList("a string")),
        ("{.metadata[?(@.x)]}", EvaluateError::NotToBeFiltered("an object")),
        (
            "{.spec.containers[?(@.name==1)]}",
            EvaluateError::Incomparable { left: "a string", right: "a number" },
        ),
        ("{.spec.containers[?(@.ports[*].containerPort>1)]}", EvaluateError::ManyCompared(2)),
    ];
    for (template, error) in cases {
        assert_eq!(Template::parse(template).unwrap().text(&object()), Err(error), "{template}");
    }
}

#[test]
fn json_arrays_hold_what_each_part_finds() {
    let template = Template::parse("{.spec.containers[*].name}{.missing}").unwrap();
    assert_eq!(template.arrays(&object()), Ok(vec![json!(["a", "b", "c"]), json!([])]));
}

#[test]
fn paths_do_without_braces_and_the_first_dot() {
    for written in [".metadata.name", "metadata.name", "{.metadata.name}", "{metadata.name}"] {
        let path = Path::parse(written).unwrap();
        assert_eq!(path.find(&object()).unwrap()[0].as_str(), Some("web"), "{written}");
    }
    for written in ["", ".", "{}", "{.a", "{.a}{.b}"] {
        assert!(Path::parse(written).is_err(), "{written}");
    }
}
