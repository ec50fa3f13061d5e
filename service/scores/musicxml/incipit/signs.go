package incipit

// Widths of signs, in spaces.
const (
	headWidth  = 1.2
	wholeWidth = 1.7
	breveWidth = 2.3
	lineWidth  = 0.12
	stemWidth  = 0.13
)

// head draws a head of a note whose left end is at x. Value 0 is a double whole note.
func (d *drawing) head(x, y float64, value int, size float64) {
	switch value {
	case 0:
		d.whole(x+0.3, y, size)
		for _, bar := range []float64{0, 0.18, breveWidth - 0.3, breveWidth - 0.12} {
			d.rectangle(x+bar, y-0.6, 0.11, 1.2)
		}
	case 1:
		d.whole(x, y, size)
	case 2:
		d.ellipse(false, x+0.6*size, y, 0.66*size, 0.45*size, 24)
		d.ellipse(true, x+0.6*size, y, 0.56*size, 0.22*size, 33)
	default:
		d.ellipse(false, x+0.6*size, y, 0.655*size, 0.44*size, 24)
	}
}

func (d *drawing) whole(x, y, size float64) {
	d.ellipse(false, x+0.85*size, y, 0.85*size, 0.5*size, 0)
	d.ellipse(true, x+0.85*size, y, 0.45*size, 0.31*size, 125)
}

// cross is the head of an instrument without pitch.
func (d *drawing) cross(x, y float64) {
	d.line(x+0.1, y-0.45, x+1.1, y+0.45, 0.17)
	d.line(x+0.1, y+0.45, x+1.1, y-0.45, 0.17)
}

func widthOfHead(value int) float64 {
	switch value {
	case 0:
		return breveWidth
	case 1:
		return wholeWidth
	default:
		return headWidth
	}
}

// flag is that of a stem that ends at y, upwards or downwards.
func (d *drawing) flag(x, y, size float64, up bool) {
	outer := []knot{{0, 0, 0}, {0.2, 0.72, 0}, {0.72, 1.35, 0}, {1.02, 2.05, 0}, {0.74, 3.1, 0}}
	inner := []knot{{0, 0.95, 0}, {0.45, 1.42, 0}, {0.8, 2.0, 0}, {0.74, 3.1, 0}}
	direction := size
	if !up {
		direction = -size
	}
	d.between(x, y, size, direction, outer, inner)
}

// rest draws a rest whose left end is at x on a staff whose middle line is at y.
func (d *drawing) rest(x, y float64, value int) {
	switch value {
	case 0:
		d.rectangle(x, y-1, 0.55, 1)
	case 1:
		d.rectangle(x, y-1, 1.15, 0.5)
	case 2:
		d.rectangle(x, y-0.5, 1.15, 0.5)
	case 4:
		d.stroke(x, y, 1, knot{0.3, -1.5, 0.06}, knot{0.55, -1.12, 0.22}, knot{0.85, -0.72, 0.1})
		d.stroke(x, y, 1, knot{0.84, -0.78, 0.08}, knot{0.58, -0.36, 0.52}, knot{0.36, 0.02, 0.14})
		d.stroke(x, y, 1, knot{0.38, -0.1, 0.08}, knot{0.66, 0.26, 0.22}, knot{0.98, 0.66, 0.06})
		d.stroke(x, y, 1, knot{0.98, 0.66, 0.06}, knot{0.62, 0.5, 0.2}, knot{0.3, 0.72, 0.34}, knot{0.42, 1.14, 0.2}, knot{0.72, 1.48, 0.04})
	default:
		hooks := hooksOf(value)
		top := y - 0.5 - float64((hooks-1)/2)
		for i := range hooks {
			lean := -0.27 * float64(i)
			d.circle(x+0.27+lean+0.27*float64(hooks-1), top+float64(i), 0.25)
			d.stroke(x+lean+0.27*float64(hooks-1), top+float64(i), 1, knot{0.27, 0.2, 0.1}, knot{0.6, 0.22, 0.12}, knot{1.0, -0.2, 0.06})
		}
		height := float64(hooks) + 0.75
		d.line(x+1+0.27*float64(hooks-1), top-0.22, x+1+0.27*float64(hooks-1)-0.27*height, top-0.22+height, 0.13)
	}
}

// hooksOf is the number of flags, beams or hooks of a value.
func hooksOf(value int) int {
	hooks := 0
	for ; value > 4; value /= 2 {
		hooks++
	}
	return hooks
}

// accidental draws a sign whose left end is at x; the widths are below.
func (d *drawing) accidental(x, y float64, sign string) {
	switch sign {
	case "sharp":
		d.rectangle(x+0.25, y-1.28, 0.1, 2.75)
		d.rectangle(x+0.65, y-1.47, 0.1, 2.75)
		d.line(x, y-0.32, x+1, y-0.62, 0.25)
		d.line(x, y+0.62, x+1, y+0.32, 0.25)
	case "flat":
		d.flat(x, y)
	case "flat-flat":
		d.flat(x, y)
		d.flat(x+0.72, y)
	case "natural":
		d.rectangle(x, y-1.35, 0.1, 2.05)
		d.rectangle(x+0.6, y-0.7, 0.1, 2.05)
		d.line(x, y-0.38, x+0.7, y-0.62, 0.25)
		d.line(x, y+0.62, x+0.7, y+0.38, 0.25)
	case "double-sharp":
		d.line(x+0.15, y-0.4, x+0.95, y+0.4, 0.17)
		d.line(x+0.15, y+0.4, x+0.95, y-0.4, 0.17)
		for _, corner := range []point{{0, -0.5}, {0.76, -0.5}, {0, 0.16}, {0.76, 0.16}} {
			d.rectangle(x+corner.x, y+corner.y, 0.34, 0.34)
		}
	}
}

func (d *drawing) flat(x, y float64) {
	d.rectangle(x, y-1.75, 0.11, 2.4)
	d.stroke(x, y, 1, knot{0.05, -0.18, 0.1}, knot{0.38, -0.42, 0.18}, knot{0.66, -0.22, 0.28}, knot{0.48, 0.2, 0.2}, knot{0.04, 0.62, 0.06})
}

// widthOfAccidental is 0 for what is none.
func widthOfAccidental(sign string) float64 {
	return map[string]float64{"sharp": 1, "flat": 0.82, "flat-flat": 1.5, "natural": 0.7, "double-sharp": 1.1}[sign]
}

// clef draws a clef whose left end is at x and whose line is at y.
func (d *drawing) clef(x, y float64, sign byte, size float64) {
	switch sign {
	case 'F':
		d.circle(x+0.36*size, y, 0.36*size)
		d.stroke(x, y, size, knot{0.06, 0.02, 0.12}, knot{0.2, -0.62, 0.18}, knot{0.85, -0.98, 0.17}, knot{1.5, -0.7, 0.4}, knot{1.74, 0.06, 0.5},
			knot{1.52, 0.95, 0.38}, knot{0.95, 1.78, 0.22}, knot{0.02, 2.5, 0.05})
		d.circle(x+2.35*size, y-0.5*size, 0.2*size)
		d.circle(x+2.35*size, y+0.5*size, 0.2*size)
	case 'C':
		d.rectangle(x, y-2*size, 0.5*size, 4*size)
		d.rectangle(x+0.68*size, y-2*size, 0.13*size, 4*size)
		for _, side := range []float64{size, -size} {
			d.circle(x+1.32*size, y-1.4*side, 0.28*size)
			d.track(x, y, size, side, []knot{
				{1.08, -1.45, 0.08},
				{1.25, -1.8, 0.12},
				{1.7, -1.93, 0.12},
				{2.22, -1.6, 0.36},
				{2.36, -1.15, 0.46},
				{2.15, -0.68, 0.34},
				{1.7, -0.45, 0.12},
				{1.32, -0.5, 0.1},
				{1.12, -0.3, 0.12},
				{0.95, 0, 0.08},
			})
		}
	case 'P':
		d.rectangle(x+0.6, y-1, 0.5, 2)
		d.rectangle(x+1.5, y-1, 0.5, 2)
	default:
		d.stroke(
			x, y, size,
			knot{1.3, 0.5, 0.05}, knot{0.98, 0.28, 0.14}, knot{0.84, -0.1, 0.18}, knot{1.02, -0.58, 0.24}, knot{1.5, -0.84, 0.34}, knot{2.1, -0.6, 0.42},
			knot{2.34, 0, 0.34}, knot{2.08, 0.66, 0.22}, knot{1.42, 0.98, 0.15}, knot{0.68, 0.74, 0.26}, knot{0.2, 0.05, 0.36}, knot{0.28, -0.85, 0.42},
			knot{0.8, -1.62, 0.4}, knot{1.4, -2.28, 0.34}, knot{1.8, -3.02, 0.3}, knot{1.84, -3.75, 0.26}, knot{1.62, -4.3, 0.08}, knot{1.3, -3.95, 0.15},
			knot{1.14, -3.3, 0.17}, knot{1.18, -2.6, 0.15}, knot{1.4, -0.9, 0.13}, knot{1.6, 0.6, 0.13}, knot{1.72, 1.55, 0.15}, knot{1.6, 2.2, 0.15},
			knot{1.2, 2.5, 0.12}, knot{0.72, 2.2, 0.1},
		)
		d.circle(x+0.88*size, y+1.98*size, 0.33*size)
	}
}

// brace joins staves from y to below, to the left of x.
func (d *drawing) brace(x, y, below float64) {
	half := (below - y) / 2
	for _, side := range []float64{half, -half} {
		d.track(x, y+half, 1, 1, []knot{
			{-0.1, -side, 0.06}, {-0.5, -0.88 * side, 0.28}, {-0.66, -0.66 * side, 0.4}, {-0.52, -0.36 * side, 0.36}, {-0.62, -0.13 * side, 0.2}, {-1.05, 0, 0.05},
		})
	}
}
