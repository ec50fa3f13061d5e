package musicxml

import (
	"math"

	"github.com/mirubato/mirubato/service/scores/musicxml/pitch"
)

// signature is a key of a part.
type signature struct {
	Key
	// usual says that the signature is a number of fifths, and no choice of accidentals of its own.
	usual bool
	// weights are how long each pitch class sounds under it; C is 0.
	weights [12]float64
}

// weigh counts a sounding pitch for the estimate of the mode.
func (p *part) weigh(tone pitch.Pitch, quarters float64) {
	if last := len(p.keys) - 1; last >= 0 {
		p.keys[last].weights[((tone.MIDI()%12)+12)%12] += max(quarters, 0.125)
	}
}

// keyName names a key of which the mode is known; the modes of old are named by their own tonic.
func keyName(fifths int, mode string) string {
	// steps is how far the tonic is from that of the major key, on the line of fifths.
	steps, known := map[string]int{
		"major": 0, "ionian": 0, "mixolydian": 1, "dorian": 2, "minor": 3, "aeolian": 3, "phrygian": 4, "locrian": 5, "lydian": -1,
	}[mode]
	if !known {
		return ""
	}
	if mode == "minor" {
		name, _ := pitch.Key(fifths, true)
		return name
	}
	name, ok := pitch.Key(fifths+steps, false)
	if !ok {
		return ""
	}
	return name[:len(name)-len("major")] + mode
}

// profiles are how well each degree fits into a key, in major and minor, from C: Krumhansl and Kessler's probe tones, 1982.
var profiles = map[string][12]float64{
	"major": {6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88},
	"minor": {6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17},
}

// estimateMode says which of the two keys of a signature fits the notes better.
func estimateMode(weights [12]float64, fifths int) string {
	tonic := ((fifths*7)%12 + 12) % 12
	if correlation(weights, profiles["minor"], tonic+9) > correlation(weights, profiles["major"], tonic) {
		return "minor"
	}
	return "major"
}

// correlation is Pearson's, of the weights with a profile that begins at the tonic.
func correlation(weights, profile [12]float64, tonic int) float64 {
	var meanW, meanP float64
	for i := range 12 {
		meanW += weights[i] / 12
		meanP += profile[i] / 12
	}
	var product, squareW, squareP float64
	for i := range 12 {
		w, p := weights[(tonic+i)%12]-meanW, profile[i]-meanP
		product += w * p
		squareW += w * w
		squareP += p * p
	}
	if squareW == 0 {
		return 0
	}
	return product / math.Sqrt(squareW*squareP)
}
