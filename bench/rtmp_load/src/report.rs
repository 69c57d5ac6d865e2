//! One line of JSON: numbers and their distributions.

pub fn q(v: &mut [f64], p: f64) -> f64 {
    if v.is_empty() {
        return f64::NAN;
    }
    v.sort_by(|a, b| a.total_cmp(b));
    v[((v.len() - 1) as f64 * p).round() as usize]
}

/// Texts and how often each came, as a JSON object.
pub fn counts(texts: &std::collections::BTreeMap<String, usize>) -> String {
    let one = |(text, n): (&String, &usize)| {
        let text: String =
            text.chars().map(|c| if c.is_control() || matches!(c, '"' | '\\') { '\'' } else { c }).collect();
        format!("\"{text}\":{n}")
    };
    format!("{{{}}}", texts.iter().map(one).collect::<Vec<_>>().join(","))
}

pub struct Out(pub String);
impl Out {
    pub fn raw(&mut self, k: &str, v: String) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(&format!("\"{k}\":{v}"));
    }
    pub fn num(&mut self, k: &str, v: f64) {
        self.raw(k, if v.is_finite() { format!("{:.3}", v) } else { "null".into() });
    }
    pub fn dist(&mut self, k: &str, mut v: Vec<f64>) {
        let s = if v.is_empty() {
            "null".into()
        } else {
            format!(
                "{{\"n\":{},\"min\":{:.3},\"p50\":{:.3},\"p95\":{:.3},\"p99\":{:.3},\"max\":{:.3}}}",
                v.len(),
                q(&mut v, 0.0),
                q(&mut v, 0.5),
                q(&mut v, 0.95),
                q(&mut v, 0.99),
                q(&mut v, 1.0)
            )
        };
        self.raw(k, s);
    }
}
