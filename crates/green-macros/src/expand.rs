//! What the attributes write.
//!
//! ```text
//! #[…attributes of the function]
//! fn main() -> ExitCode {
//!     fn __green_body() -> R { … }
//!     green::Config::new().hubs(2).apply().expect("…");      // if there are options
//!     green::run(|| Termination::report(__green_body()))
//! }
//! ```
//!
//! The value of the body is reported in its green thread, because it need not be `Send`
//! (`Result<(), Box<dyn Error>>` is not); an `ExitCode` is. A function without a value stays one, which
//! `#[should_panic]` asks for.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{AttrStyle, Attribute, Error, ItemFn, Result, ReturnType, parse_quote};

use crate::options::Options;

/// Which attribute it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `#[green::main]`.
    Main,
    /// `#[green::test]`.
    Test,
}

/// The function, wrapped; or what is wrong with it, as a compile error beside the function as it was.
pub(crate) fn expand(kind: Kind, options: TokenStream, function: TokenStream) -> TokenStream {
    let wrapped = syn::parse2(options)
        .and_then(|options: Options| wrap(kind, &options, syn::parse2(function.clone())?));
    wrapped.unwrap_or_else(|error| {
        let error = error.into_compile_error();
        quote! { #function #error }
    })
}

fn wrap(kind: Kind, options: &Options, function: ItemFn) -> Result<TokenStream> {
    check(kind, &function)?;
    let green = options
        .green
        .clone()
        .unwrap_or_else(|| parse_quote!(::green));
    let ItemFn {
        attrs,
        vis,
        sig,
        block,
        ..
    } = function;
    let (inner, outer): (Vec<Attribute>, Vec<Attribute>) = attrs
        .into_iter()
        .partition(|attribute| matches!(attribute.style, AttrStyle::Inner(_)));
    let test = (kind == Kind::Test).then(|| quote! { #[::core::prelude::v1::test] });
    // Hygiene does not cover the names of functions, so one that nobody else has.
    let body = Ident::new("__green_body", Span::mixed_site());
    let (name, output, statements) = (&sig.ident, &sig.output, &block.stmts);
    let (outer_output, run) = match output {
        ReturnType::Default => (None, quote! { #green::run(#body); }),
        ReturnType::Type(..) => (
            Some(quote! { -> #green::process::ExitCode }),
            quote! { #green::run(|| #green::process::Termination::report(#body())) },
        ),
    };
    let configure = configure(kind, options, &green);
    let wrapped = quote_spanned! { block.span()=>
        fn #body() #output { #(#inner)* #(#statements)* }
    };
    Ok(quote! {
        #test
        #(#outer)*
        #vis fn #name() #outer_output {
            #wrapped
            #configure
            #run
        }
    })
}

/// Puts the options in force.
fn configure(kind: Kind, options: &Options, green: &syn::Path) -> Option<TokenStream> {
    if options.knobs.is_empty() {
        return None;
    }
    let (names, values): (Vec<_>, Vec<_>) = options.knobs.iter().cloned().unzip();
    let message = match kind {
        Kind::Main => "green::main: the runtime has started before main",
        Kind::Test => {
            "green::test: an earlier test of this process has started the runtime; \
             tests with options need a process of their own (cargo-nextest gives them one)"
        }
    };
    Some(quote! {
        #green::Config::new() #(.#names(#values))* .apply().expect(#message);
    })
}

/// What cannot be wrapped.
fn check(kind: Kind, function: &ItemFn) -> Result<()> {
    let signature = &function.sig;
    let wrong = if let Some(keyword) = signature.asyncness {
        Some((keyword.span(), "there is nothing to await: remove `async`"))
    } else if let Some(argument) = signature.inputs.first() {
        Some((argument.span(), "the function must not take arguments"))
    } else if let Some(parameter) = signature.generics.params.first() {
        Some((parameter.span(), "the function must not be generic"))
    } else if let Some(keyword) = signature.constness {
        Some((keyword.span(), "the function must not be `const`"))
    } else {
        let test = function
            .attrs
            .iter()
            .find(|attribute| kind == Kind::Test && attribute.path().is_ident("test"));
        test.map(|test| (test.span(), "`#[green::test]` stands for `#[test]` too"))
    };
    match wrong {
        Some((span, message)) => Err(Error::new(span, message)),
        None => Ok(()),
    }
}
