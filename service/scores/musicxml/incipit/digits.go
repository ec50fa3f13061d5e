package incipit

// digit draws a number of a time signature, two spaces high, with its left end at x and its middle at y, and returns its width.
func (d *drawing) digit(x, y float64, c byte) float64 {
	switch c {
	case '0':
		d.ellipse(false, x+0.72, y, 0.72, 0.98, 0)
		d.ellipse(true, x+0.72, y, 0.3, 0.82, 0)
		return 1.44
	case '1':
		d.rectangle(x+0.38, y-0.95, 0.42, 1.75)
		d.polygon(false, point{x, y - 0.3}, point{x + 0.45, y - 0.98}, point{x + 0.6, y - 0.85}, point{x + 0.14, y - 0.22})
		d.rectangle(x+0.1, y+0.78, 0.98, 0.18)
		return 1.1
	case '2':
		d.circle(x+0.33, y-0.45, 0.28)
		d.stroke(x, y, 1, knot{0.08, -0.45, 0.1}, knot{0.2, -0.8, 0.14}, knot{0.66, -0.92, 0.16}, knot{1.1, -0.55, 0.42}, knot{0.85, 0.02, 0.28}, knot{0.35, 0.42, 0.14}, knot{0.1, 0.92, 0.08})
		d.stroke(x, y, 1, knot{0.1, 0.9, 0.08}, knot{0.42, 0.68, 0.26}, knot{0.9, 0.8, 0.34}, knot{1.3, 0.7, 0.12}, knot{1.38, 0.4, 0.06})
		return 1.42
	case '3':
		d.circle(x+0.32, y-0.52, 0.25)
		d.circle(x+0.32, y+0.52, 0.25)
		d.stroke(x, y, 1, knot{0.1, -0.55, 0.08}, knot{0.28, -0.86, 0.12}, knot{0.66, -0.93, 0.14}, knot{1.04, -0.55, 0.4}, knot{0.78, -0.12, 0.14}, knot{0.4, -0.02, 0.1})
		d.stroke(x, y, 1, knot{0.4, -0.02, 0.1}, knot{0.82, 0.08, 0.16}, knot{1.1, 0.48, 0.42}, knot{0.68, 0.92, 0.15}, knot{0.28, 0.86, 0.12}, knot{0.1, 0.55, 0.08})
		return 1.36
	case '4':
		d.polygon(false, point{x + 0.42, y - 0.97}, point{x + 0.98, y - 0.97}, point{x + 0.28, y + 0.28}, point{x, y + 0.42}, point{x + 0.05, y + 0.2})
		d.rectangle(x, y+0.25, 1.42, 0.2)
		d.polygon(false, point{x + 0.68, y - 0.1}, point{x + 1.08, y - 0.55}, point{x + 1.08, y + 0.85}, point{x + 0.68, y + 0.85})
		d.rectangle(x+0.46, y+0.8, 0.86, 0.16)
		return 1.44
	case '5':
		d.rectangle(x+0.14, y-0.95, 0.1, 1)
		d.polygon(false, point{x + 0.14, y - 0.97}, point{x + 0.6, y - 0.88}, point{x + 1.2, y - 0.97}, point{x + 1.0, y - 0.55}, point{x + 0.22, y - 0.5})
		d.circle(x+0.3, y+0.5, 0.25)
		d.stroke(x, y, 1, knot{0.16, 0.05, 0.08}, knot{0.5, -0.2, 0.14}, knot{0.95, 0, 0.34}, knot{1.02, 0.5, 0.38}, knot{0.66, 0.9, 0.16}, knot{0.28, 0.85, 0.12}, knot{0.1, 0.55, 0.08})
		return 1.32
	case '6', '9':
		side, middle := 1.0, x
		if c == '9' {
			side, middle = -1, x+1.4
		}
		d.ellipse(false, middle+side*0.78, y+side*0.36, 0.58, 0.6, 0)
		d.ellipse(true, middle+side*0.8, y+side*0.4, 0.22, 0.44, 0)
		d.circle(middle+side*1.02, y-side*0.5, 0.25)
		d.track(middle, y, side, side, []knot{{1.24, -0.55, 0.08}, {1.05, -0.85, 0.12}, {0.72, -0.92, 0.14}, {0.3, -0.45, 0.4}, {0.24, 0.15, 0.46}, {0.45, 0.75, 0.3}, {0.75, 0.9, 0.12}})
		return 1.4
	case '7':
		d.stroke(x, y, 1, knot{0.06, -0.4, 0.06}, knot{0.14, -0.85, 0.14}, knot{0.5, -0.8, 0.34}, knot{0.95, -0.68, 0.2}, knot{1.3, -0.97, 0.06})
		d.stroke(x, y, 1, knot{1.28, -0.95, 0.06}, knot{0.82, -0.15, 0.22}, knot{0.62, 0.5, 0.42}, knot{0.62, 0.96, 0.46})
		return 1.34
	case '8':
		d.ellipse(false, x+0.68, y-0.48, 0.52, 0.5, 0)
		d.ellipse(true, x+0.74, y-0.5, 0.22, 0.36, -35)
		d.ellipse(false, x+0.68, y+0.44, 0.64, 0.54, 0)
		d.ellipse(true, x+0.62, y+0.46, 0.26, 0.4, -35)
		return 1.36
	case '+':
		d.rectangle(x+0.1, y-0.06, 0.9, 0.14)
		d.rectangle(x+0.48, y-0.45, 0.14, 0.9)
		return 1.1
	default:
		return 0.6
	}
}

// number draws several digits; with draw false it only measures.
func (d *drawing) number(x, y float64, text string) float64 {
	from := x
	for i := range len(text) {
		x += d.digit(x, y, text[i]) + 0.08
	}
	return x - from
}

// common draws the sign of 4/4, struck through for 2/2.
func (d *drawing) common(x, y float64, cut bool) float64 {
	d.circle(x+1.3, y-0.45, 0.26)
	d.stroke(x, y, 1, knot{1.52, -0.5, 0.08}, knot{1.35, -0.85, 0.12}, knot{0.95, -0.97, 0.12}, knot{0.42, -0.6, 0.36}, knot{0.26, 0, 0.46}, knot{0.42, 0.6, 0.36},
		knot{0.95, 0.97, 0.12}, knot{1.36, 0.82, 0.1}, knot{1.58, 0.4, 0.06})
	if cut {
		d.rectangle(x+0.88, y-1.5, 0.12, 3)
	}
	return 1.7
}
