//! What `vcgencmd pmic_read_adc` prints on a Raspberry Pi 5: the voltages and currents of its rails, in two forms, by the
//! age of the firmware: `VDD_CORE_A current(7)=2.05A` and `VDD_CORE_A=2.05`.

use std::collections::BTreeMap;

/// The sum over all rails whose voltage and current are both told, in watts. `None` if there is none.
///
/// It sees nothing of what hangs on the board's 5 V.
pub fn watts(said: &str) -> Option<f64> {
    let (mut currents, mut voltages) = (BTreeMap::new(), BTreeMap::new());
    for line in said.lines() {
        let Some((name, value)) = line.split_once('=') else { continue };
        let Some(name) = name.split_whitespace().next() else { continue };
        let Ok(value) = value.trim().trim_end_matches(['A', 'V']).parse::<f64>() else { continue };
        match name.rsplit_once('_') {
            Some((rail, "A")) => currents.insert(rail.to_owned(), value),
            Some((rail, "V")) => voltages.insert(rail.to_owned(), value),
            _ => None,
        };
    }
    let rails = currents.iter().filter_map(|(rail, current)| Some(current * voltages.get(rail)?));
    rails.fold(None, |sum, watts| Some(sum.unwrap_or(0.0) + watts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let new = "     3V7_WL_SW_A current(0)=0.10A\n     VDD_CORE_A current(7)=2.00A\n     3V7_WL_SW_V volt(8)=3.70V\n     VDD_CORE_V volt(15)=0.75V\n     EXT5V_V volt(24)=5.10V\n";
        let old = "3V7_WL_SW_A=0.10\nVDD_CORE_A=2.00\n3V7_WL_SW_V=3.70\nVDD_CORE_V=0.75\nEXT5V_V=5.10\n";
        for said in [new, old] {
            assert!((watts(said).unwrap() - (0.37 + 1.5)).abs() < 1e-9, "{said}");
        }
    }

    #[test]
    fn what_is_no_pair_counts_for_nothing() {
        assert_eq!(watts("EXT5V_V volt(24)=5.10V\nBATT_V volt(25)=0.00V\n"), None);
        assert_eq!(watts("error=1 error_msg=\"Command not registered\"\n"), None);
    }
}
