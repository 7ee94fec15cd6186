//! The check of one row: a function that compiles only if the item is there.

use std::fmt::Write;

use super::Row;
use super::declaration::{Function, Generics, head, replace_word, split, split_where, top_level};

/// The function that checks one row.
pub fn check(row: &Row<'_>, number: usize, same: bool) -> String {
    let item = row.item().to_lowercase();
    let words = item.split(|letter: char| !letter.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let name = format!("check_{number}_{}", words.join("_"));
    let code = match row.kind {
        _ if row.is_impl() => check_impl(row, &name),
        "fn" => check_fn(row, &name, &Generics::default(), ""),
        "struct-method" | "enum-method" => {
            let (generics, this) = head(row.inside);
            check_fn(row, &name, &generics, &this)
        }
        "trait-method" => check_trait_item(row, &name),
        _ if row.is_type() => check_type(row, &name, same),
        "variant" => check_variant(row, &name),
        "constant" => {
            let (_, of) = row
                .declaration
                .split_once(": ")
                .expect("a constant has a type");
            let of = of.trim_end_matches(';');
            format!("fn {name}() {{ let _item: {of} = std::{}; }}", row.item())
        }
        "mod" | "use" => format!("fn {name}() {{ use std::{} as _; }}", row.item()),
        "macro" => {
            let used = MACROS
                .iter()
                .find(|(macro_name, _)| *macro_name == row.item());
            let (_, code) = used.expect("each macro has its example in MACROS");
            format!("fn {name}() {{ {code} }}")
        }
        kind => panic!("rows of the kind '{kind}' have no check"),
    };
    // `::std` stays: it is the real one. std has a libc of its own, of the same types.
    let code = code
        .replace("::std::", "::real::")
        .replace("std::", "root::")
        .replace("libc::unix::", "::libc::");
    format!("// {}\n{}", row.item(), code.replace("::real::", "::std::"))
}

fn check_fn(row: &Row<'_>, name: &str, around: &Generics, this: &str) -> String {
    let place = if row.kind == "fn" {
        format!("std::{}", row.owner)
    } else {
        format!("<{this}>")
    };
    let Some(declared) = Function::parse(row.declaration, this) else {
        let (_, of) = row
            .declaration
            .split_once(": ")
            .expect("a constant has a type");
        let (of, _) = of.split_once(" = ").unwrap_or((of, ""));
        let parameters = around.declared();
        let conditions = around.conditions();
        return format!(
            "fn {name}{parameters}() {conditions} {{ let _item: {of} = {place}::{}; }}",
            row.name
        );
    };
    let generics = around.and(&declared.generics);
    let path = format!("{place}::{}{}", row.name, declared.generics.turbofish());
    declared.checks(name, &generics, &path, row.since.contains("const:"))
}

fn check_trait_item(row: &Row<'_>, name: &str) -> String {
    let owner = format!("std::{}", row.owner);
    let this = Generics {
        parameters: vec![("This".into(), owner.clone())],
        conditions: Vec::new(),
    };
    let path = format!("<This as {owner}>::{}", row.name);
    if let Some(declared) = Function::parse(row.declaration, "This") {
        let generics = this.and(&declared.generics);
        let path = format!("{path}{}", declared.generics.turbofish());
        return declared.checks(name, &generics, &path, false);
    }
    let bounds = row
        .declaration
        .split_once(": ")
        .map_or("Sized", |(_, bounds)| bounds);
    format!(
        "fn {name}{}() {{ fn is<X: {bounds}>() {{}} is::<{path}>(); }}",
        this.declared()
    )
}

fn check_impl(row: &Row<'_>, name: &str) -> String {
    let (mut generics, rest) = head(row.name);
    let (rest, conditions) = split_where(&rest);
    generics.conditions.extend(conditions);
    let at = top_level(&rest, " for ").expect("an impl of a trait");
    let (of, this) = (&rest[..at], &rest[at + " for ".len()..]);
    if let Some(of) = of.strip_prefix('!') {
        // Holds for every type, so any will do. If the bound held, two impls would apply and the call be ambiguous.
        let mut aliases = String::new();
        let mut this = this.to_owned();
        for (parameter, bounds) in &generics.parameters {
            if parameter.starts_with('\'') {
                this = replace_word(&this, parameter, "'static");
            } else if bounds.contains("Fn") || parameter == "F" {
                write!(aliases, "type {parameter} = fn() -> u8; ").unwrap();
            } else {
                write!(aliases, "type {parameter} = u8; ").unwrap();
            }
        }
        return format!(
            "fn {name}() {{ {aliases}trait Probe<A> {{ fn probe() {{}} }} impl<X: ?Sized> Probe<()> for X {{}} \
             impl<X: ?Sized + {of}> Probe<u8> for X {{}} <{this} as Probe<_>>::probe(); }}"
        );
    }
    let types = row.declaration.replace("; ", ", ").replace("type ", "");
    let of = match of.strip_suffix('>') {
        _ if types.is_empty() => of.to_owned(),
        Some(of) => format!("{of}, {types}>"),
        None => format!("{of}<{types}>"),
    };
    let asked = generics.and(&Generics {
        parameters: vec![("X".into(), format!("?Sized + {of}"))],
        conditions: Vec::new(),
    });
    let mut given: Vec<&str> = generics.types().collect();
    given.push(this);
    // The argument is there for what it implies, such as that one lifetime outlives another.
    format!(
        "fn {name}{}(item: &{this}) {} {{ fn is{}(_: &{this}) {} {{}} is::<{}>(item); }}",
        generics.declared(),
        generics.conditions(),
        asked.declared(),
        asked.conditions(),
        given.join(", ")
    )
}

fn check_type(row: &Row<'_>, name: &str, same: bool) -> String {
    let path = format!("std::{}", row.item());
    if row.kind == "trait" {
        let real = if same { "::" } else { "" };
        return format!(
            "fn {name}<X: {real}{path} + ?Sized>() {{ fn is<X: {path} + ?Sized>() {{}} is::<X>(); }}"
        );
    }
    let start = row.declaration.find(row.name).expect("a type has its name") + row.name.len();
    let (generics, rest) = Generics::parse(&row.declaration[start..]);
    let (_, conditions) = split_where(rest.split(['{', ';']).next().unwrap_or(""));
    let generics = Generics {
        conditions,
        ..generics
    }
    .without_allocator();
    let (declared, conditions) = (generics.declared(), generics.conditions());
    let used = format!("{path}{}", generics.used());
    if same || row.kind == "type" {
        // In a box, since what it holds need not be sized.
        return format!(
            "fn {name}{declared}(item: Box<::{used}>) -> Box<{used}> {conditions} {{ item }}"
        );
    }
    let open = !row.declaration.starts_with("#[non_exhaustive]");
    let constructor = format!("{path}{}", generics.turbofish());
    let body = match rest.trim_end_matches(';').trim() {
        "" if open && row.kind == "struct" => format!("let _item: {used} = {constructor};"),
        fields if open && fields.starts_with("(pub ") => {
            let types = fields[1..fields.len() - 1].replace("pub ", "");
            format!("let _item: fn({types}) -> {used} = {constructor};")
        }
        fields if fields.starts_with("{ pub ") => {
            let fields = split(&fields[1..fields.len() - 1], ',');
            let field = |field: &String| {
                let (name, of) = field.strip_prefix("pub ")?.split_once(": ")?;
                Some(format!("let _field: &{of} = &_item.{name}; "))
            };
            fields.iter().filter_map(field).collect()
        }
        _ => String::new(),
    };
    format!("fn {name}{declared}(_item: &{used}) {conditions} {{ {body} }}")
}

fn check_variant(row: &Row<'_>, name: &str) -> String {
    let start = row.inside.find(['<', ' ']).map(|_| row.inside.find('<'));
    let (generics, _) = Generics::parse(start.flatten().map_or("", |start| &row.inside[start..]));
    let this = format!("std::{}{}", row.owner, generics.used());
    let variant = format!("std::{}{}::{}", row.owner, generics.turbofish(), row.name);
    let body = match row.declaration.strip_prefix(row.name).unwrap_or("") {
        "" => format!("let _item: {this} = {variant};"),
        fields if fields.starts_with('(') => {
            format!("let _item: fn{fields} -> {this} = {variant};")
        }
        _ => format!("let _item = |item: {this}| matches!(item, {variant} {{ .. }});"),
    };
    format!("fn {name}{}() {{ {body} }}", generics.declared())
}

/// How each macro is used.
const MACROS: &[(&str, &str)] = &[(
    "thread_local!",
    "root::thread_local! {
        static PLAIN: root::cell::Cell<u8> = root::cell::Cell::new(0);
        pub(crate) static CONSTANT: root::cell::RefCell<u8> = const { root::cell::RefCell::new(0) }
    }
    let _plain: &'static root::thread::LocalKey<root::cell::Cell<u8>> = &PLAIN;
    let _constant: &'static root::thread::LocalKey<root::cell::RefCell<u8>> = &CONSTANT;",
)];
