package incipit

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// All lengths are in staff spaces, the distance between two lines of a staff; y grows downwards, as in SVG, from the place at which a
// sign is set. scale is how many units of the document a space is.
const scale = 10

type point struct{ x, y float64 }

// knot is a place on the way of a pen, and how broad the pen is there.
type knot struct{ x, y, width float64 }

// drawing gathers filled shapes as the data of one path. Shapes that overlap are one: all of them turn the same way, but for holes.
type drawing struct{ data strings.Builder }

// polygon fills a shape; the other way around it is a hole in what lies under it.
func (d *drawing) polygon(hole bool, points ...point) {
	area := 0.0
	for i, p := range points {
		q := points[(i+1)%len(points)]
		area += p.x*q.y - q.x*p.y
	}
	turned := (area < 0) != hole
	for i := range points {
		p := points[i]
		if turned {
			p = points[len(points)-1-i]
		}
		command := byte('L')
		if i == 0 {
			command = 'M'
		}
		d.data.WriteByte(command)
		d.data.WriteString(number(p.x))
		d.data.WriteByte(' ')
		d.data.WriteString(number(p.y))
	}
	d.data.WriteByte('Z')
}

// number writes a length in units of the document.
func number(spaces float64) string {
	return strconv.FormatFloat(math.Round(spaces*scale*100)/100, 'f', -1, 64)
}

func (d *drawing) rectangle(x, y, width, height float64) {
	d.polygon(false, point{x, y}, point{x + width, y}, point{x + width, y + height}, point{x, y + height})
}

// line is a straight line of a width, with blunt ends.
func (d *drawing) line(x1, y1, x2, y2, width float64) {
	length := math.Hypot(x2-x1, y2-y1)
	if length == 0 {
		return
	}
	dx, dy := -(y2-y1)/length*width/2, (x2-x1)/length*width/2
	d.polygon(false, point{x1 + dx, y1 + dy}, point{x2 + dx, y2 + dy}, point{x2 - dx, y2 - dy}, point{x1 - dx, y1 - dy})
}

// ellipse is turned against the clock by an angle in degrees.
func (d *drawing) ellipse(hole bool, x, y, a, b, degrees float64) {
	const corners = 24
	sin, cos := math.Sincos(-degrees * math.Pi / 180)
	points := make([]point, corners)
	for i := range points {
		s, c := math.Sincos(2 * math.Pi * float64(i) / corners)
		points[i] = point{x + a*c*cos - b*s*sin, y + a*c*sin + b*s*cos}
	}
	d.polygon(hole, points...)
}

func (d *drawing) circle(x, y, r float64) { d.ellipse(false, x, y, r, r, 0) }

// stroke is the track of a pen that goes smoothly through the knots, which are moved to (x, y) and enlarged.
func (d *drawing) stroke(x, y, size float64, knots ...knot) {
	d.track(x, y, size, size, knots)
}

// track is a stroke that is enlarged differently in both directions; a negative one mirrors it.
func (d *drawing) track(x, y, sizeX, sizeY float64, knots []knot) {
	way := smooth(knots)
	left := make([]point, len(way))
	right := make([]point, len(way))
	for i, k := range way {
		a, b := way[max(i-1, 0)], way[min(i+1, len(way)-1)]
		length := math.Hypot(b.x-a.x, b.y-a.y)
		dx, dy := -(b.y-a.y)/length*k.width/2, (b.x-a.x)/length*k.width/2
		left[i] = point{x + (k.x+dx)*sizeX, y + (k.y+dy)*sizeY}
		right[len(way)-1-i] = point{x + (k.x-dx)*sizeX, y + (k.y-dy)*sizeY}
	}
	d.polygon(false, append(left, right...)...)
}

// between fills what lies between two curves that end at the same place.
func (d *drawing) between(x, y, sizeX, sizeY float64, one, other []knot) {
	var points []point
	for _, k := range smooth(one) {
		points = append(points, point{x + k.x*sizeX, y + k.y*sizeY})
	}
	for _, k := range slices.Backward(smooth(other)) {
		points = append(points, point{x + k.x*sizeX, y + k.y*sizeY})
	}
	d.polygon(false, points...)
}

// smooth returns a way through the knots that has no corners.
func smooth(knots []knot) []knot {
	const steps = 6
	var way []knot
	for i := range len(knots) - 1 {
		before, from, to, after := knots[max(i-1, 0)], knots[i], knots[i+1], knots[min(i+2, len(knots)-1)]
		for s := range steps {
			t := float64(s) / steps
			way = append(way, knot{
				spline(before.x, from.x, to.x, after.x, t), spline(before.y, from.y, to.y, after.y, t),
				from.width + (to.width-from.width)*t*t*(3-2*t),
			})
		}
	}
	return append(way, knots[len(knots)-1])
}

// spline is Catmull and Rom's, between b and c.
func spline(a, b, c, e, t float64) float64 {
	return b + t/2*(c-a+t*(2*a-5*b+4*c-e+t*(3*(b-c)+e-a)))
}
